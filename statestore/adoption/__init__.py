"""Moving into a file that another program owns, and out of it again.

    structure   what a schema is: the orchestrator's version 4, 5, its `init` layout, or something else
    inspect     the look at a file that nobody trusts yet; runs in a process of its own
    look        starts that process and returns its findings
    backup      a verified copy, made before anything is changed
    upgrade     version 4 and `init` tables brought to version 5, and any table rebuilt to another shape
    place       a file as Django's store for the length of a block
    adopt       moves in: one transaction
    leave       moves out: one transaction, and the proof
    status      whether the store that this process was given can be used

Kept free of imports, so that the inspecting process starts without Django.
"""
