"""A persisted flow of CrewAI's, run by the frameworks' Python: three methods that count.

crewai_program.py FILE run [ID]    start the flow, with the state of an id if one is given; print its state as JSON
"""

import json
import sys
from typing import Any

from crewai.flow.flow import Flow, listen, start
from crewai.flow.persistence import SQLiteFlowPersistence, persist
from pydantic import BaseModel


class State(BaseModel):
    id: str = ""
    count: int = 0
    notes: list[str] = []


def main() -> None:
    path, _, *ids = sys.argv[1:]

    @persist(SQLiteFlowPersistence(path))
    class Counting(Flow[State]):
        @start()
        def begin(self) -> None:
            self.state.count += 1
            self.state.notes.append("begin")

        @listen(begin)
        def work(self) -> None:
            self.state.count += 10
            self.state.notes.append("work")

        @listen(work)
        def finish(self) -> None:
            self.state.count += 100
            self.state.notes.append("finish")

    flow = Counting()
    inputs: dict[str, Any] = {"id": ids[0]} if ids else {}
    flow.kickoff(inputs=inputs)
    print("STATE " + json.dumps(flow.state.model_dump()))


if __name__ == "__main__":
    main()
