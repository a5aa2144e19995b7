"""Descartes StateStore: see, diff and restore the agents of a store that an orchestrator shares.

Rooms, from the ground up. Each imports from the rooms above it in this list; import-linter holds it (pyproject.toml):

    errors          every failure raised on purpose, with its HTTP status and problem type
    telemetry       traces and metrics, where a collector is named
    text            the order of names as people read them; characters made visible
    jsondiff        JSON text, pointers, diffs, patches, merges; plain Python without Django
    db              what we need of a database: fields, transactions, vendors, pages by key, ids in URLs
    models          the tables, one file per noun, each with its queryset
    access          who may reach what, ETags, tokens, the audit log
    history         an agent's past: state at a moment, timeline, blame, bisect
    search          the query language, facets, histogram; two engines: fts (SQLite), postgres
    sessions        sessions and the conversations in them
    agents tasks events restore
                    what can be done to each: services, and what belongs to them
    partitions      events and transitions by month, on PostgreSQL when asked
    archive         old records in compressed frames, read as if nothing had moved
    cases           an agent or a transition as one file for a ticket, its secrets masked
    growth          where the bytes are, from samples
    retention       what may go, and what is held back from that
    lookup          what is found of each kind by a name or an id: the search box of every page
    store           StateStore, the Python API: a facade that only delegates
    backups         copies of both databases: taken, verified, rotated, put back
    adoption        moving into an orchestrator's file and out of it
    demo import_export operations
                    the demo fleet; the store as lines of JSON; doctor, readiness, metrics
    sources         the stores of other frameworks: read, mirrored, put back
    stores          stores that are added on a page, where several are served
    forms           query strings and POST bodies as checked values
    views           the HTML face
    templatetags api
                    what templates can say; the JSON face
    admin management middleware urls checks apps
                    Django's hooks and the commands
"""
