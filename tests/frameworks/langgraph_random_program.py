"""Random programs of LangGraph's, run by the frameworks' Python: loops, joins, sends, commands, interrupts, errors.

    langgraph_random_program.py FILE run NUMBER      run so many, each in a thread of its own
    langgraph_random_program.py FILE state NUMBER    say what LangGraph makes of the threads

Each prints, as JSON, the history of each thread: the id, the values and the next nodes of each checkpoint, the newest
first.
"""

import base64
import json
import operator
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

warnings.simplefilter("ignore")
MOST_STEPS = 12


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    n: int
    odd: Any


class Within(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    n: int


def work(name: str, kind: str, names: list[str], chosen: Random) -> Callable[[State], Any]:
    """Return what a node does: write, ask, fail, lead elsewhere, or nothing."""

    def run(state: State) -> Any:
        if kind == "asks" and chosen.random() < 0.5:
            interrupt({"at": name})
        if kind == "fails" and chosen.random() < 0.3:
            raise ValueError("broken")
        if kind == "leads":
            return Command(update={"log": [name]}, goto=chosen.choice([*names, END]) if chosen.random() < 0.3 else [])
        if kind == "nothing":
            return None
        if kind == "odd":
            return {"odd": chosen.choice([1.5, "a", b"b", None, True, {"deep": [name, {"none": None}]}])}
        return {"log": [name], "n": state.get("n", 0) + 1}

    return run


def within(chosen: Random) -> Any:
    graph = StateGraph(Within)
    graph.add_node("inner", lambda _: {"log": ["inner"]})
    graph.add_edge(START, "inner")
    graph.add_edge("inner", END)
    return graph.compile(checkpointer=chosen.choice([None, True]))


def lead(graph: StateGraph[State], name: str, later: list[str], chosen: Random) -> None:
    """Let a node lead to one or two later ones, or send to the next one twice."""
    kind = chosen.random()
    if kind < 0.2:
        graph.add_conditional_edges(name, lambda _: [Send(later[0], {"log": [], "n": n}) for n in range(2)], later[:1])
    elif kind < 0.4:
        graph.add_conditional_edges(name, lambda s: later[0] if len(s.get("log", [])) < 20 else END, [later[0], END])
    else:
        for other in later[: 1 if kind < 0.8 else 2]:
            graph.add_edge(name, other)


def made(chosen: Random, saver: SqliteSaver) -> tuple[Any, list[str]]:
    """Return a random program, and the names of its nodes."""
    graph = StateGraph(State)
    names = [f"node {number}" for number in range(chosen.randint(2, 5))]
    for name in names:
        kind = chosen.choice(["writes", "writes", "asks", "fails", "leads", "nothing", "odd", "within"])
        graph.add_node(name, within(chosen) if kind == "within" else work(name, kind, names, chosen))
    graph.add_edge(START, names[0])
    for place, name in enumerate(names[:-1], 1):
        lead(graph, name, names[place:], chosen)
    if len(names) > 3 and chosen.random() < 0.5:
        graph.add_edge(names[1:3], names[3])
    before = [chosen.choice(names)] if chosen.random() < 0.2 else None
    return graph.compile(checkpointer=saver, interrupt_before=before), names


def act(program: Any, names: list[str], config: Any, chosen: Random) -> None:
    """Run, resume, go on, or go back and change something."""
    kind = chosen.random()
    if kind < 0.6:
        program.invoke({"log": ["in"], "n": 0}, config, durability=chosen.choice(["sync", "async", "exit"]))
    elif kind < 0.75:
        program.invoke(Command(resume="yes"), config)
    elif kind < 0.85:
        program.invoke(None, config)
    elif past := list(program.get_state_history(config)):
        program.update_state(chosen.choice(past).config, {"n": 99, "log": ["changed"]}, as_node=chosen.choice(names))
        program.invoke(None, chosen.choice(past).config)


def plain(value: Any) -> Any:
    return {"$bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else str(value)


def main() -> None:
    path, verb, number = sys.argv[1:]
    histories = {}
    with SqliteSaver.from_conn_string(path) as saver:
        for seed in range(int(number)):
            chosen = Random(seed)
            thread = f"random {seed}"
            config = {"configurable": {"thread_id": thread}, "recursion_limit": MOST_STEPS}
            program, names = made(chosen, saver)
            for _ in range(chosen.randint(1, 4) if verb == "run" else 0):
                # What a program's errors leave behind is to be read, too.
                with suppress(Exception):
                    act(program, names, config, chosen)
            if found := list(program.get_state_history(config)):
                histories[thread] = [
                    (state.config["configurable"]["checkpoint_id"], state.values, list(state.next)) for state in found
                ]
    print(json.dumps(histories, default=plain))


if __name__ == "__main__":
    main()
