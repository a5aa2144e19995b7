"""Descartes StateStore: see, diff and restore the agents of a store that an orchestrator shares.

Imports point one way; a test reads them. A line imports only from lines above it:

    errors jsontext sequences schema  failures; JSON text to show; longest matches; the orchestrator's tables
    dialect changes align textdiff    which database; one change and its inverse; lists and texts aligned
    conditions                        what is asked of one path: /mode = "stuck"
    diff fields rewrite               two states → changes; lenient columns; changes made to the stored text
    addresses merge                   any id in a URL; two states that went apart from a third
    moments paging                    the grammar of moments; pages by key
    models plain                      the tables with their querysets; single rows of them, fast
    search                            the query language, the index and its two engines
    audit history work retention      who did what; an agent's past; tasks and sessions; deleting for good
    reach seen saving ingest tokens   what somebody may see; whether a row moved; rows written; scripts' keys
    saved_views                       queries kept under names
    sessions taskgraph                what was said in a session; what waits for what
    restore                           plan, apply, verify, undo; merge, revert, fork, a whole fleet
    edits capture                     edits of tasks and sessions taken back; changes that only triggers see
    store                             StateStore: the verbs of writing and reading, the Python API
    bulk                              one verb for each of many agents
    adoption doctor demo              moving into a file and out of it; its health; the story that `make run` loads
    exchange readiness metrics        the store as lines of JSON; whether and how this process serves
    json_links                        where a page's data is as JSON
    forms                             query string or POST → checked values
    views api admin management        the HTML face, the JSON face, the staff face, the commands

`routers`, `middleware`, `rendering`, `checks` and `logs` are Django's hooks; `coroutines` gives each verb its other
form.
"""
