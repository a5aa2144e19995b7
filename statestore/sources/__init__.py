"""Sources: the stores of other agent frameworks, read without changing them and mirrored into a store of our own.

contract    what a reader gives
readers     one module for each framework's store
locations   where a source is, a file or a server, and what the rest asks of either
files       files, opened so that they stay as they are
real_paths  paths in which no link is followed
documents   JSON files, JSON lines and folders of JSON files
servers     databases on PostgreSQL servers, read so that nobody there waits
secrets     the passwords of those, which stand in no table
dialects    what readers ask of either database besides rows
mirror      what a reader gives, as rows of ours
following   keeping mirrors up to date while a server runs
adding      sources that come and go
allowed     the directories whose files administrators mirror on pages
quarantine  uploaded files
connecting  how the agents of each framework come here
standing    what was opened, and how far it was read
naming      which rows of a list come from which source
writers     one module for each framework's store into which a thread is put back
"""

from statestore.sources.standing import Standing, number_of, standing

__all__ = ["Standing", "number_of", "standing"]
