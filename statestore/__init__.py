"""Descartes StateStore: see, diff and restore the agents of a store that an orchestrator shares.

Imports point one way; a test reads them. A line imports only from lines above it:

    errors jsontext schema            failures; JSON text to show; the orchestrator's tables
    dialect diff moments              which database; two states → changes; the grammar of moments
    fields                            lenient columns
    paging querysets                  pages by key; the vocabulary of reading
    models                            the tables
    audit history                     who did what; the state at a moment
    store                             StateStore: the verbs of writing and reading, the Python API
    restore                           plan, preview, apply, verify, undo
    adoption doctor demo              moving into a file and out of it; its health; the story that `make run` loads
    forms                             query string or POST → checked values
    views admin management            the HTML face, the staff face, the commands

`routers`, `middleware`, `rendering`, `checks` and `logs` are Django's hooks.
"""
