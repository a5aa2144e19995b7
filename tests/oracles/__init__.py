"""Naive answers to what the product answers fast: plain Python over plain rows and JSON, without code of the project.

Each says what is right in the fewest words, however slow; a property test beside it compares the product with it.
"""
