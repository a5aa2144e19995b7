"""What breaks, broken on purpose: killed servers, races, storms, held locks, full and read-only disks.

Each test has a canary beside it: a variant that is wrong on purpose and that the same check must flag. A check that
lets its canary pass proves nothing, so the test fails then. `make faults` (FAULTS=long) runs all of it for longer.
"""
