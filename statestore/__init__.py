"""Descartes StateStore: see, diff and restore the agents of a store that an orchestrator shares.

Imports point one way; a test reads them. A line imports only from lines above it:

    errors jsontext sequences schema  failures; JSON text to show; longest matches; the orchestrator's tables
    dialect changes align textdiff    which database; one change and its inverse; lists and texts aligned
    diff fields                       two states → changes; lenient columns
    addresses                         any id in a URL
    moments paging querysets          the grammar of moments; pages by key; the vocabulary of reading
    models                            the tables
    audit history work retention      who did what; the state at a moment; tasks, sessions, events; deleting for good
    restore                           plan, apply, verify, undo
    store                             StateStore: the verbs of writing and reading, the Python API
    adoption doctor demo              moving into a file and out of it; its health; the story that `make run` loads
    forms                             query string or POST → checked values
    views admin management            the HTML face, the staff face, the commands

`routers`, `middleware`, `rendering`, `checks` and `logs` are Django's hooks; `coroutines` gives each verb its other
form.
"""
