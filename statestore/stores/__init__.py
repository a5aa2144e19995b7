"""Stores that administrators add on a page, where several are served.

allowed   the files of the directories that STORE_DIRS names
adding    adding one of them, and removing it; statestore/db/served.py says which stores are served
"""
