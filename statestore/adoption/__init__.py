"""Adopting a file that another program owns, and leaving it.

    schema_detection  what a schema is: the orchestrator's version 4, 5, its `init` layout, or something else
    probe_process     the look at an untrusted file; runs in a process of its own
    probe             starts that process and returns its findings
    backup            a verified copy, made before anything is changed
    long_steps        migrations that would make an orchestrator's saves wait, and so are refused beside it
    upgrade           version 4 and `init` tables brought to version 5, and any table rebuilt to another shape
    temporary_store   a file as Django's store for the length of a block
    adopt             moves in: one transaction
    leave             moves out: one transaction, and the proof
    ownership         whether a database may get our tables: it is empty, or has some of them
    status            whether the store that this process was given can be used

Kept free of imports, so that the inspecting process starts without Django.
"""
