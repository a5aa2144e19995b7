"""Programs of LangGraph's, run by the frameworks' Python: nodes that wait for several, are sent to, or need no graph.

    langgraph_joins_program.py FILE run THREAD      run once more
    langgraph_joins_program.py FILE go-on THREAD    go on with what comes next
    langgraph_joins_program.py FILE state THREAD    say what LangGraph makes of the thread

THREAD is `joins` or `functions`. FILE is that of a SqliteSaver, or the URL of a PostgresSaver. Each prints the history
as JSON: the id, the values and the next nodes of each checkpoint, the newest first.
"""

import json
import operator
import sys
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send


class State(TypedDict):
    log: Annotated[list[str], operator.add]
    n: int


def named(name: str) -> Any:
    return lambda _: {"log": [name]}


def fan(_: State) -> list[Send]:
    return [Send("send", {"log": [], "n": number}) for number in range(3)]


def graph() -> StateGraph[State]:
    made = StateGraph(State)
    for name in ("begin", "left", "right", "join"):
        made.add_node(name, named(name))
    made.add_node("send", lambda state: {"log": [f"sent {state['n']}"]})
    made.add_edge(START, "begin")
    made.add_edge("begin", "left")
    made.add_edge("begin", "right")
    made.add_edge(["left", "right"], "join")
    made.add_conditional_edges("join", fan, ["send"])
    made.add_edge("send", END)
    return made


@task
def double(number: int) -> int:
    return number * 2


def main() -> None:
    path, verb, thread = sys.argv[1:]
    kind = PostgresSaver if path.startswith("postgresql://") else SqliteSaver
    with kind.from_conn_string(path) as saver:
        saver.setup()

        @entrypoint(checkpointer=saver)
        def flow(number: int, *, previous: int | None = None) -> Any:
            doubled = double(number).result()
            return entrypoint.final(value=doubled, save=(previous or 0) + doubled)

        runnable = flow if thread == "functions" else graph().compile(checkpointer=saver)
        config = {"configurable": {"thread_id": thread}}
        if verb == "run":
            runnable.invoke(5 if thread == "functions" else {"log": ["asked"], "n": 1}, config)
        if verb == "go-on":
            runnable.invoke(None, config)
        history = [
            (state.config["configurable"]["checkpoint_id"], state.values, list(state.next))
            for state in runnable.get_state_history(config)
        ]
        print(json.dumps({"history": history}))


if __name__ == "__main__":
    main()
