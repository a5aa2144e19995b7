"""A program of LangGraph's, run by the frameworks' Python: a channel that holds changes, and a graph that lasts within.

    langgraph_delta_program.py FILE run [THREAD]      run the graph once more
    langgraph_delta_program.py FILE state [THREAD]    say what LangGraph makes of the thread

THREAD is t1 if none is named. FILE is that of a SqliteSaver, or the URL of a PostgresSaver. Each prints the values,
those of each step, and those of the graph within, as JSON.
"""

import json
import operator
import sys
from typing import Annotated, TypedDict

from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph


def fold(state: list[str], writes: list[list[str]]) -> list[str]:
    return [*(state or []), *(text for write in writes for text in write)]


class State(TypedDict, total=False):
    log: Annotated[list[str], DeltaChannel(fold, snapshot_frequency=3)]
    n: int


class Within(TypedDict, total=False):
    n: int
    seen: Annotated[list[int], operator.add]


def step(state: State) -> State:
    return {"log": [f"step {state['n']}"], "n": state["n"] + 1}


def route(state: State) -> str:
    return "step" if state["n"] % 5 else "within"


def see(state: Within) -> Within:
    return {"seen": [state["n"]]}


def main() -> None:
    path, verb, *threads = sys.argv[1:]
    thread = next(iter(threads), "t1")
    within = StateGraph(Within)
    within.add_node("see", see)
    within.add_edge(START, "see")
    within.add_edge("see", END)
    graph = StateGraph(State)
    graph.add_node("step", step)
    graph.add_node("within", within.compile(checkpointer=True))
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", route, ["step", "within"])
    graph.add_edge("within", END)
    kind = PostgresSaver if path.startswith("postgresql://") else SqliteSaver
    with kind.from_conn_string(path) as saver:
        saver.setup()
        program = graph.compile(checkpointer=saver)
        config = {"configurable": {"thread_id": thread}}
        if verb == "run":
            program.invoke({"n": 0}, config)
        steps = program.get_state_history(config)
        inner = program.get_state_history({"configurable": {"thread_id": thread, "checkpoint_ns": "within"}})
        print(
            json.dumps(
                {
                    "values": program.get_state(config).values,
                    "history": [[step.config["configurable"]["checkpoint_id"], step.values] for step in steps],
                    "within": next((step.values for step in inner), {}),
                }
            )
        )


if __name__ == "__main__":
    main()
