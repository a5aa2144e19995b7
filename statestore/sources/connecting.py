"""How the agents of each framework come here, in lines to run: what the page Connect shows."""

from dataclasses import dataclass
from typing import Final

from descartes_site.locations import COMMAND, COMMAND_LINE
from statestore.sources.readers import name_of


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework: where it keeps what its agents were, and the readers that know it."""

    name: str
    keeps: str
    file: str
    readers: tuple[str, ...]
    note: str = ""

    @property
    def arguments(self) -> str:
        """What opens such a file, behind the name of the command."""
        return f"open {self.file}"

    @property
    def formats(self) -> str:
        """What its readers call what they read."""
        return ", ".join(map(name_of, self.readers))


FRAMEWORKS: Final = (
    Framework(
        "LangGraph", "the file that SqliteSaver was given, or the URL that PostgresSaver was", "checkpoints.sqlite",
        ("langgraph", "langgraph-memories"),
        "Threads are restored in place.",
    ),
    Framework(
        "OpenAI Agents", "the file that SQLiteSession was given, or the URL that SQLAlchemySession was", "sessions.db",
        ("openai-agents",),
        "Sessions are restored in place. A session without a file is in memory, and ends with its program.",
    ),
    Framework(
        "Google ADK", "the file that SqliteSessionService was given, or the URL that DatabaseSessionService was",
        "sessions.db", ("google-adk",), "Sessions are restored in place.",
    ),
    Framework(
        "CrewAI", "the file of a flow's @persist, or of a crew's checkpoints", "flow_states.db",
        ("crewai-flow", "crewai-checkpoints", "crewai-files"),
        "Flows and crews are restored in place; checkpoints in JSON files are read, by the name of their folder.",
    ),
    Framework(
        "Agno", "the file that SqliteDb was given, or the URL that PostgresDb was", "agno.db", ("agno",),
        "Sessions are restored in place.",
    ),
    Framework(
        "pydantic-ai", "the JSON of result.all_messages_json(), written into a file", "messages.json", ("pydantic-ai",)
    ),
    Framework("Letta", "the agent file that an export downloads", "agent.af", ("letta",)),
    Framework(
        "Microsoft Agent Framework", "the folder that FileCheckpointStorage was given", "checkpoints/",
        ("agent-framework",), "Pickled values stay closed.",
    ),
    Framework(
        "Claude Code, Codex", "one transcript: ~/.claude/projects/…/….jsonl or ~/.codex/sessions/…/rollout-….jsonl",
        "transcript.jsonl", ("claude-code", "codex"), "It is followed while the agent works.",
    ),
    Framework(
        "Descartes", "the orchestrator's file", "descartes.db", ("descartes",),
        f"To work in the file itself, `{COMMAND} adopt` it.",
    ),
)  # fmt: skip

_CURL: Final = """API={api}
curl -sf -X PUT "$API/agents/my-agent" -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -d '{{"state": {{"plan": "first", "messages": []}}, "status": "running", "reason": "started"}}'
curl -sf -X POST "$API/events" -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -d '{{"event_type": "message", "session_id": "my-session", "actor_type": "Agent", "actor_id": "my-agent",
       "content": "Done."}}'"""
_PYTHON: Final = """import json, os, urllib.request

API = "{api}"


def send(method, path, body):
    headers = {{"Authorization": "Bearer " + os.environ["TOKEN"], "Content-Type": "application/json"}}
    request = urllib.request.Request(API + path, json.dumps(body).encode(), headers, method=method)
    return json.load(urllib.request.urlopen(request))


def save(agent, state, reason):
    return send("PUT", "/agents/" + agent, {{"state": state, "status": "running", "reason": reason}})


save("my-agent", {{"plan": "first", "messages": []}}, "started")
save("my-agent", {{"plan": "second", "messages": [{{"role": "user", "content": "Hello"}}]}}, "the user spoke")"""
_ASK: Final = f'export TOKEN=$({COMMAND_LINE} token create "my agents" --user NAME --scopes read,write)'


def api_lines(api: str) -> dict[str, str]:
    """Return what a program without a store of its own runs, once for each step: each change becomes a transition."""
    return {"token": _ASK, "curl": _CURL.format(api=api), "python": _PYTHON.format(api=api)}
