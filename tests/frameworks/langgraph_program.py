"""A program of LangGraph's, run by the frameworks' Python: a loop of two nodes with an approval.

    langgraph_program.py FILE run THREAD TEXT    start a run with a message
    langgraph_program.py FILE go-on THREAD       go on from where the thread stands
    langgraph_program.py FILE approve THREAD     answer the approval, and go on
    langgraph_program.py FILE state THREAD       say what LangGraph makes of the thread

It is kept by a SqliteSaver, or by a PostgresSaver if FILE is a URL. Each prints the state as JSON.
"""

import json
import operator
import sys
from typing import Annotated, TypedDict

from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt


class State(TypedDict, total=False):
    said: Annotated[list[str], operator.add]
    rounds: int
    answer: str


def think(state: State) -> State:
    return {"said": [f"thought {state.get('rounds', 0)}"], "rounds": state.get("rounds", 0) + 1}


def route(state: State) -> str:
    return "think" if state["rounds"] % 3 else "ask"


def ask(state: State) -> State:
    return {"answer": interrupt({"question": f"after {state['rounds']} rounds?"}), "said": ["asked"]}


def main() -> None:
    path, verb, thread, *texts = sys.argv[1:]
    graph = StateGraph(State)
    graph.add_node("think", think)
    graph.add_node("ask", ask)
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", route, ["think", "ask"])
    graph.add_edge("ask", END)
    config = {"configurable": {"thread_id": thread}}
    kind = PostgresSaver if path.startswith("postgresql://") else SqliteSaver
    with kind.from_conn_string(path) as saver:
        saver.setup()
        program = graph.compile(checkpointer=saver)
        if verb == "run":
            program.invoke({"said": texts}, config)
        elif verb == "go-on":
            program.invoke(None, config)
        elif verb == "approve":
            program.invoke(Command(resume="yes"), config)
        found = program.get_state(config)
        print(
            json.dumps(
                {
                    "values": found.values,
                    "next": list(found.next),
                    "id": found.config["configurable"]["checkpoint_id"],
                    "history": [
                        [step.config["configurable"]["checkpoint_id"], step.values, list(step.next)]
                        for step in program.get_state_history(config)
                    ],
                }
            )
        )


if __name__ == "__main__":
    main()
