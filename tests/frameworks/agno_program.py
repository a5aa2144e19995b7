"""A program of Agno's, run by the frameworks' Python: an agent with a tool that writes the session's state.

    agno_program.py FILE run SESSION TEXT…    let the agent answer each text
    agno_program.py FILE state SESSION        say what Agno makes of the session
    agno_program.py FILE migrate SESSION      bring the database to this version of Agno's first

FILE may be the URL of a database. Each prints, as JSON, the session's state, its runs, and what the model saw last.
The model is a plain function: it calls the tool once for each text, and says how many messages it saw.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from agno.agent import Agent
from agno.db.base import SessionType
from agno.db.migrations.manager import MigrationManager
from agno.db.postgres import PostgresDb
from agno.db.sqlite import SqliteDb
from agno.models.base import Model
from agno.models.response import ModelResponse
from agno.run import RunContext

seen: list[str] = []


@dataclass
class Counting(Model):
    """Says how many messages of users it saw, after it has put the newest into the cart."""

    id: str = "counting"

    def invoke(self, messages: list[Any], **_: Any) -> ModelResponse:
        seen[:] = [str(message.content) for message in messages if message.role == "user"]
        if messages[-1].role == "user":
            call = {"name": "put", "arguments": json.dumps({"what": seen[-1]})}
            return ModelResponse(
                role="assistant", tool_calls=[{"id": f"call_{len(messages)}", "type": "function", "function": call}]
            )
        return ModelResponse(role="assistant", content=f"saw {len(seen)}")

    async def ainvoke(self, *args: Any, **kwargs: Any) -> ModelResponse:
        return self.invoke(*args, **kwargs)

    def invoke_stream(self, *args: Any, **kwargs: Any) -> Iterator[ModelResponse]:
        yield self.invoke(*args, **kwargs)

    async def ainvoke_stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ModelResponse]:
        yield self.invoke(*args, **kwargs)

    def _parse_provider_response(self, response: Any, **_: Any) -> ModelResponse:
        return ModelResponse(content=response)

    def _parse_provider_response_delta(self, response: Any) -> ModelResponse:
        return ModelResponse(content=response)


def put(run_context: RunContext, what: str) -> str:
    """Put something into the cart."""
    assert run_context.session_state is not None
    run_context.session_state["cart"] = [*run_context.session_state["cart"], what]
    return "done"


def of_driver(url: str) -> str:
    """Return a URL as SQLAlchemy takes it: with its driver, and the directory of a socket among its options."""
    front, _, rest = url.removeprefix("postgresql://").partition("/")
    user, _, host = front.partition("@")
    return f"postgresql+psycopg://{user}@/{rest}?host={unquote(host)}"


def main() -> None:
    path, verb, session_id, *texts = sys.argv[1:]
    is_url = path.startswith("postgresql://")
    db = PostgresDb(db_url=of_driver(path), db_schema="public") if is_url else SqliteDb(db_file=path)
    agent = Agent(
        id="helper",
        name="Helper",
        model=Counting(),
        db=db,
        tools=[put],
        session_state={"cart": []},
        add_history_to_context=True,
        num_history_runs=100,
        telemetry=False,
    )
    if verb == "run":
        for text in texts:
            agent.run(text, session_id=session_id)
    if verb == "migrate":
        asyncio.run(MigrationManager(db).up())
    session = db.get_session(session_id, session_type=SessionType.AGENT)
    print(
        json.dumps(
            {
                "state": session.session_data["session_state"],
                "runs": [run.run_id for run in session.runs or []],
                "answers": [run.content for run in session.runs or []],
                "seen": seen,
            }
        )
    )


if __name__ == "__main__":
    main()
