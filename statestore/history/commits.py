"""At which git commit something happened: as its transition says, else the last one that the agent's events name."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from statestore import models
from statestore.db.errors import translated_errors
from statestore.db.routers import store_alias
from statestore.history import limits
from statestore.jsondiff import parsing

# Members of a transition's metadata that hold a commit.
_MEMBERS: Final = ("git_commit", "commit")


def commits(agent_id: str, step_ids: Iterable[str], *, using: str | None = None) -> dict[str, str]:
    """Return {step id: commit} for those of an agent's steps of which one is known; at most 900 are looked up."""
    using = using or store_alias()
    wanted = list(dict.fromkeys(step_ids))[: limits.COMMIT_TRANSITIONS]
    if not wanted:
        return {}
    with translated_errors():
        steps = models.Transition.objects.using(using).of_agent(agent_id).filter(pk__in=wanted)
        rows = list(steps.values_list("pk", "timestamp", "metadata"))
        named = _named_by_events(agent_id, using)
    times = [at for at, _ in named]
    commits_by_id = {}
    for pk, at, metadata in rows:
        place = bisect_right(times, int(at))
        commit = _in_metadata(metadata) or (named[place - 1][1] if place else "")
        if commit:
            commits_by_id[str(pk)] = commit
    return commits_by_id


def _named_by_events(agent_id: str, using: str) -> list[tuple[int, str]]:
    events = models.Event.objects.using(using).by_actor(agent_id).last_inserted()
    rows = events.values_list("timestamp", "git_commit")[: limits.NEWEST_EVENTS]
    return sorted((int(at), str(commit)) for at, commit in rows if commit)


def _in_metadata(text: str | None) -> str:
    try:
        value = parsing.parse(text, max_bytes=100_000) if text else None
    except parsing.NotJson:
        return ""
    members = value if isinstance(value, dict) else {}
    return next((str(members[name]) for name in _MEMBERS if isinstance(members.get(name), str)), "")
