"""What the demo's agents think, say and do."""

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any, TypeAlias

GOAL = "Refactor the parser into a tokenizer and a tree builder without changing the public API"
GOALS = {
    "planner": "Split the 2.4 milestone into tasks that fit one session each",
    "coder": GOAL,
    "reviewer": "Review every patch for the 2.4 milestone within the hour",
    "tester": "Keep the suite green on the three supported platforms",
    "writer": "Describe each new setting with an example that runs",
    "release": "Publish 2.4.0 when all blocking tasks are done",
    "triage": "Sort incoming reports by who is affected and how badly",
    "deployer": "Roll 2.3.4 out to the second region in four steps",
    "watcher": "Notice error rates above 0.5 % before a person does",
    "analyst": "Explain the cost of each agent per finished task",
}
State: TypeAlias = dict[str, Any]

STEPS = (
    "read the affected modules", "write down the invariants", "move the lexer states", "port the error paths",
    "delete the old entry points", "run the full suite", "measure against the last release", "ask for a review",
)  # fmt: skip
FILES = (
    "src/parser/mod.rs", "src/parser/lexer.rs", "src/parser/tree.rs", "src/cli/main.rs", "src/config.rs",
    "tests/parser.rs", "tests/fixtures/deep.json", "docs/settings.md", "deploy/region-2.toml", "Cargo.toml",
)  # fmt: skip
THOUGHTS = (
    "The two callers differ only in how they report a missing brace; one helper serves both.",
    "Before I move this I want a test that fails when the order of tokens changes.",
    "The fixture is larger than the buffer, so this path has never been exercised.",
    "This is the third place that trims the input. I will do it once, at the boundary.",
    "The reviewer asked for smaller commits. I will split the rename from the change.",
    "Nothing else reads this flag; it can go with the entry point.",
)
NOTES = (
    "keep the old lexer until the fuzz run is clean", "the public API is frozen for 2.4",
    "CI on the third platform is slow: wait 20 minutes", "error codes are documented, do not renumber them",
    "the config loader trims trailing commas on purpose", "ask planner-1 before touching the CLI",
)  # fmt: skip
TOOLS = ("read_file", "search", "apply_patch", "run_tests", "shell")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One event of a turn."""

    kind: str
    content: str
    by: str = "agent"
    metadata: dict[str, object] = field(default_factory=dict)
    commit: str | None = None


def first_state(role: str, chance: random.Random) -> dict[str, object]:
    """Return an agent's state before its first turn."""
    steps = chance.sample(STEPS, 6)
    return {
        "role": role,
        "mode": "working",
        "plan": {
            "goal": GOALS[role],
            "step": 0,
            "steps": [{"id": f"s{n + 1}", "text": text, "done": False} for n, text in enumerate(steps)],
        },
        "messages": [{"role": "system", "content": f"You are the {role} of a small software team. {GOALS[role]}."}],
        "memory": {"notes": [], "files": {}},
        "tools": {"last": None, "failures": 0},
        "counters": {"turns": 0, "tokens": 0, "errors": 0},
        "budget": {"limit": 40.0, "spent": 0.0},
    }


def work(state: State, role: str, turn: int, chance: random.Random) -> tuple[str, list[Utterance]]:
    """Do one ordinary turn: change the state, and return the reason and what was said."""
    path, tool = chance.choice(FILES), chance.choice(TOOLS)
    thought = chance.choice(THOUGHTS)
    output = _output(tool, path, chance)
    commit = hashlib.sha1(f"{role}{turn}{path}".encode(), usedforsecurity=False).hexdigest()
    commit_now = commit if tool == "apply_patch" and turn % 3 == 0 else None
    state["messages"] += [
        {"role": "assistant", "content": thought, "tool_call": {"name": tool, "path": path}},
        {"role": "tool", "name": tool, "content": output},
    ]
    _forget_old(state)
    state["memory"]["files"][path] = {"read_at_turn": turn, "lines": chance.randint(40, 900)}
    if turn % 5 == 2:
        state["memory"]["notes"] = list(dict.fromkeys([*state["memory"]["notes"], chance.choice(NOTES)]))
    state["tools"]["last"] = {"name": tool, "path": path, "exit": 0}
    _count(state, chance, errors=0)
    utterances = [
        Utterance("message", f"Please go on with: {state['plan']['goal']}", by="user") if turn % 8 == 0 else None,
        Utterance("thought", thought),
        Utterance("tool_use", f"{tool} {path}", metadata={"tool": tool, "path": path}),
        Utterance("tool_result", output[:400], by="system", metadata={"exit": 0}),
        Utterance("tool_use", f"search {path.rsplit('/', 1)[-1]}", metadata={"tool": "search"}),
        Utterance("tool_result", f"{chance.randint(1, 40)} matches", by="system", metadata={"exit": 0}),
        Utterance("thought", chance.choice(THOUGHTS)),
        Utterance("metric", f"tokens={state['counters']['tokens']} spent={state['budget']['spent']:.2f}", by="system"),
        Utterance("commit", f"{path}: {state['plan']['steps'][state['plan']['step']]['text']}", commit=commit_now)
        if commit_now
        else None,
    ]
    return _advance(state, tool, turn), [one for one in utterances if one]


def lose_the_goal(state: State) -> tuple[str, list[Utterance]]:
    """The turn in which it goes wrong: the context is compacted too eagerly, and the goal is lost with it."""
    del state["plan"]["goal"]
    state["plan"]["steps"] = state["plan"]["steps"][:2]
    state["plan"]["step"] = 0
    state["memory"]["notes"] = []
    state["mode"] = "recovering"
    state["messages"] = [
        state["messages"][0],
        {"role": "system", "content": "Summary of the conversation so far: several files were read and changed."},
    ]
    state["tools"]["last"] = {"name": "apply_patch", "path": "src/parser/lexer.rs", "exit": 1}
    state["tools"]["failures"] += 1
    state["counters"]["errors"] += 1
    state["counters"]["turns"] += 1
    return "context compacted after tool error", [
        Utterance("tool_use", "apply_patch src/parser/lexer.rs", metadata={"tool": "apply_patch"}),
        Utterance("error", "patch rejected: hunk 3 failed at line 212 of src/parser/lexer.rs", by="system",
             metadata={"exit": 1}),
        Utterance("system", "context window at 97 %: compacting the conversation", by="system"),
    ]  # fmt: skip


def go_round_in_circles(state: State, turn: int, chance: random.Random) -> tuple[str, list[Utterance]]:
    """A turn after that: without its goal the agent repeats itself, spends money and fails."""
    path = "src/parser/lexer.rs"
    error = f"patch rejected: hunk {chance.randint(1, 6)} failed at line {chance.randint(180, 260)} of {path}"
    state["mode"] = "stuck"
    state["messages"] += [
        {"role": "assistant", "content": "I will apply the patch again.", "tool_call": {"name": "apply_patch"}},
        {"role": "tool", "name": "apply_patch", "content": error},
    ]
    _forget_old(state)
    state["tools"] = {
        "last": {"name": "apply_patch", "path": path, "exit": 1},
        "failures": state["tools"]["failures"] + 1,
    }
    _count(state, chance, errors=1)
    state["budget"]["spent"] = round(state["budget"]["spent"] + 1.1, 2)
    return f"tool error: patch rejected ({state['tools']['failures']} in a row)", [
        Utterance("thought", "The patch should apply now."),
        Utterance("tool_use", f"apply_patch {path}", metadata={"tool": "apply_patch"}),
        Utterance("error", error, by="system", metadata={"exit": 1}),
    ]


def _advance(state: State, tool: str, turn: int) -> str:
    """Tick a step off now and then, and return the reason for the turn's transition."""
    plan = state["plan"]
    if turn % 7 == 6 and plan["step"] < len(plan["steps"]) - 1:
        plan["steps"][plan["step"]]["done"] = True
        plan["step"] += 1
        return f"step done: {plan['steps'][plan['step'] - 1]['text']}"
    return f"{tool} finished" if tool != "run_tests" else "tests passed"


def _count(state: State, chance: random.Random, *, errors: int) -> None:
    counters, budget = state["counters"], state["budget"]
    counters["turns"] += 1
    counters["tokens"] += chance.randint(900, 6200)
    counters["errors"] += errors
    budget["spent"] = round(budget["spent"] + chance.randint(5, 40) / 100, 2)


def _forget_old(state: State) -> None:
    state["messages"] = [state["messages"][0], *state["messages"][1:][-24:]]


def _output(tool: str, path: str, chance: random.Random) -> str:
    if tool == "run_tests":
        return f"test result: ok. {chance.randint(200, 420)} passed; 0 failed; finished in {chance.randint(4, 40)} s"
    if tool == "apply_patch":
        return f"patched {path}: {chance.randint(1, 9)} hunks, +{chance.randint(3, 60)} −{chance.randint(0, 40)}"
    lines = [f"{chance.randint(1, 900):4d}: {chance.choice(THOUGHTS)}" for _ in range(chance.randint(4, 16))]
    return "\n".join(lines)
