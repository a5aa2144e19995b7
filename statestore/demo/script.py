"""What the demo's agents think, say and do, turn by turn."""

import base64
import hashlib
import random
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from statestore.conversations import Role
from statestore.conversations.formats import summary
from statestore.demo.formats import OPENAI, Said
from statestore.demo.trades import TRADES, Step

State: TypeAlias = dict[str, Any]
STEPS: Final = (
    "read the affected modules", "write down the invariants", "move the lexer states", "port the error paths",
    "delete the old entry points", "run the full suite", "measure against the last release", "ask for a review",
)  # fmt: skip
KEPT_MESSAGES: Final = 24
# Before this turn, a user sends the watcher a picture.
PICTURE_TURN: Final = 40
PICTURE_QUESTION: Final = "This is the dashboard at noon. Is the step at the right a deploy?"
DOLLARS_PER_TOKEN: Final = 0.00007


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
    trade = TRADES[role]
    steps = chance.sample(STEPS, 6)
    return {
        "role": role,
        "mode": "working",
        "plan": {
            "goal": trade.goal,
            "step": 0,
            "steps": [{"id": f"s{n + 1}", "text": text, "done": False} for n, text in enumerate(steps)],
        },
        "messages": [trade.format.system(f"You are the {role} of a small software team. {trade.goal}.")],
        "memory": {"notes": [], "files": {}},
        "tools": {"last": None, "failures": 0},
        "counters": {"turns": 0, "tokens": 0, "errors": 0},
        "budget": {"limit": 40.0, "spent": 0.0},
    }


def work(state: State, role: str, turn: int, chance: random.Random) -> tuple[str, list[Utterance]]:
    """Do one ordinary turn: change the state, and return the reason and what was said."""
    trade = TRADES[role]
    round_, place = divmod(turn, len(trade.steps))
    step = trade.steps[place]
    words = {
        "thing": trade.things[round_ % len(trade.things)],
        "case": trade.cases[round_ % len(trade.cases)],
        "n": str(chance.randint(12, 480)),
        "m": str(chance.randint(2, 60)),
    }
    asked = trade.questions[turn // 8 % len(trade.questions)] if turn % 8 == 0 else ""
    if asked:
        state["messages"].append(trade.format.user(asked))
    has_picture = role == "watcher" and turn == PICTURE_TURN
    if has_picture:
        state["messages"].append(_picture())
    said = _said(step, words, role, turn, chance)
    output = _long_log(words) if step.tool == "run_tests" and turn % 12 == 11 else _filled(step.output, words)
    state["messages"] += [trade.format.assistant(said), trade.format.tool(said, output, False)]
    _forget_old(state)
    path = str(said.arguments.get("path", ""))
    if path:
        state["memory"]["files"][path] = {"read_at_turn": turn, "lines": chance.randint(40, 900)}
    if trade.notes and turn % 5 == 2:
        note = trade.notes[turn // 5 % len(trade.notes)]
        state["memory"]["notes"] = list(dict.fromkeys([*state["memory"]["notes"], note]))
    state["tools"]["last"] = {"name": said.tool, "exit": 0} | said.arguments
    _count(state, said, errors=0)
    commit = hashlib.sha1(f"{role}{turn}{path}".encode(), usedforsecurity=False).hexdigest()
    return _advance(state, _filled(step.reason, words), turn), [
        *([Utterance("message", asked, by="user")] if asked else []),
        *([Utterance("message", PICTURE_QUESTION, by="user")] if has_picture else []),
        *_events_of(said, output, is_error=False),
        Utterance("metric", f"tokens={state['counters']['tokens']} spent={state['budget']['spent']:.2f}", by="system"),
        *([Utterance("commit", said.thought, commit=commit)] if step.tool == "apply_patch" and turn % 3 == 0 else []),
    ]


def lose_the_goal(state: State) -> tuple[str, list[Utterance]]:
    """The turn in which it goes wrong: the context is compacted too eagerly, and the goal is lost with it."""
    del state["plan"]["goal"]
    state["plan"]["steps"] = state["plan"]["steps"][:2]
    state["plan"]["step"] = 0
    state["memory"]["notes"] = []
    state["mode"] = "recovering"
    state["messages"] = [
        state["messages"][0],
        OPENAI.system("Summary of the conversation so far: several files were read and changed."),
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
    tokens = chance.randint(3_600, 6_200)
    said = Said(
        "I will apply the patch again.", "apply_patch", {"path": path}, f"call_{turn}", tokens, _cost(tokens) + 1.1
    )
    state["messages"] += [OPENAI.assistant(said), OPENAI.tool(said, error, True)]
    _forget_old(state)
    state["tools"] = {
        "last": {"name": "apply_patch", "path": path, "exit": 1},
        "failures": state["tools"]["failures"] + 1,
    }
    _count(state, said, errors=1)
    reason = f"tool error: patch rejected ({state['tools']['failures']} in a row)"
    return reason, _events_of(said, error, is_error=True)


def _said(step: Step, words: dict[str, str], role: str, turn: int, chance: random.Random) -> Said:
    arguments = {name: _filled(value, words) for name, value in step.arguments.items()}
    tokens = chance.randint(900, 6_200)
    thought = _filled(step.thought, words)
    return Said(
        thought[0].upper() + thought[1:], step.tool, dict(arguments), f"call_{role}_{turn}", tokens, _cost(tokens)
    )


def _filled(text: str, words: dict[str, str]) -> str:
    # Not `format`: what tools return has braces of its own.
    for name, word in words.items():
        text = text.replace(f"{{{name}}}", word)
    return text


def _cost(tokens: int) -> float:
    return round(tokens * DOLLARS_PER_TOKEN, 2)


def _events_of(said: Said, output: str, *, is_error: bool) -> list[Utterance]:
    """Return the events of what an assistant said: what it thought, called and got are those of its messages."""
    about = " ".join(str(value) for value in said.arguments.values())
    return [
        Utterance("thought", said.thought),
        Utterance("tool_use", f"{said.tool} {about}".rstrip(), metadata={"tool": said.tool, **said.arguments}),
        Utterance("error" if is_error else "tool_result", output[:400], by="system", metadata={"exit": int(is_error)}),
    ]


def _advance(state: State, reason: str, turn: int) -> str:
    """Tick a step off now and then, and return the reason for the turn's transition."""
    plan = state["plan"]
    if turn % 7 == 6 and plan["step"] < len(plan["steps"]) - 1:
        plan["steps"][plan["step"]]["done"] = True
        plan["step"] += 1
        return f"step done: {plan['steps'][plan['step'] - 1]['text']}"
    return reason


def _count(state: State, said: Said, *, errors: int) -> None:
    counters, budget = state["counters"], state["budget"]
    counters["turns"] += 1
    counters["tokens"] += said.tokens
    counters["errors"] += errors
    budget["spent"] = round(budget["spent"] + said.cost, 2)


def _forget_old(state: State) -> None:
    """Keep the first message and the newest, and no result whose call is forgotten."""
    first, newest = state["messages"][0], state["messages"][1:][-KEPT_MESSAGES:]
    while newest and summary(newest[0])[0] is Role.TOOL:
        newest = newest[1:]
    state["messages"] = [first, *newest]


def _long_log(words: dict[str, str]) -> str:
    """Return what a verbose test run prints."""
    thing, cases = words["thing"], TRADES["coder"].cases
    lines = [f"test parser::{thing}::{case.replace(' ', '_')}_{n} ... ok" for n in range(1, 9) for case in cases]
    return "\n".join([*lines, f"test result: ok. {len(lines)} passed; 0 failed; finished in {words['n']} ms"])


def _picture() -> dict[str, object]:
    """Return what a user sends with a screenshot: a message with an image, in Google's format."""
    data = base64.b64encode(bytes(range(256)) * 35).decode()
    return {
        "role": "user",
        "parts": [
            {"text": PICTURE_QUESTION},
            {"inlineData": {"mimeType": "image/png", "data": data}},
        ],
    }
