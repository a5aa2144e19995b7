"""A program of the OpenAI Agents SDK's, run by the frameworks' Python: an agent with a tool, on a session in a file.

    openai_agents_program.py FILE KIND run SESSION TEXT…    let the agent answer each text
    openai_agents_program.py FILE KIND state SESSION        say what the session holds
    openai_agents_program.py FILE KIND hold SESSION TEXT    open the session, wait for a line, then answer

KIND is plain, branches, or database, of which FILE is the URL. Each prints, as JSON, the session's items and how many
the model saw last. The model is a plain function: it calls the tool once for each text, and says how many items it
saw.
"""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import unquote

from agents import Agent, Model, ModelResponse, Runner, SQLiteSession, Usage, function_tool, set_tracing_disabled
from agents.extensions.memory import AdvancedSQLiteSession
from agents.extensions.memory.sqlalchemy_session import SQLAlchemySession
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

seen: list[int] = []


class Counting(Model):
    """Says how many items it saw, after it has called the tool."""

    async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> ModelResponse:
        seen[:] = [len(input)]
        number = f"{seen[0]}"
        made: Any = ResponseFunctionToolCall(
            id=f"fc_{number}", call_id=f"call_{number}", name="weather", arguments="{}", type="function_call"
        )
        if input[-1].get("type") == "function_call_output":
            text = ResponseOutputText(text=f"saw {number}", type="output_text", annotations=[])
            made = ResponseOutputMessage(
                id=f"msg_{number}", role="assistant", status="completed", type="message", content=[text]
            )
        return ModelResponse(output=[made], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


@function_tool
def weather() -> str:
    """Say what the weather is."""
    return "sunny"


def session_in(path: str, kind: str, session_id: str) -> Any:
    if kind == "branches":
        return AdvancedSQLiteSession(session_id=session_id, db_path=path, create_tables=True)
    if kind == "plain":
        return SQLiteSession(session_id, path)
    front, _, rest = path.removeprefix("postgresql://").partition("/")
    user, _, host = front.partition("@")
    url = f"postgresql+asyncpg://{user}@/{rest}?host={unquote(host)}"
    return SQLAlchemySession.from_url(session_id, url=url, create_tables=True)


async def main() -> None:
    path, kind, verb, session_id, *texts = sys.argv[1:]
    set_tracing_disabled(True)
    session = session_in(path, kind, session_id)
    agent = Agent(name="helper", model=Counting(), tools=[weather])
    if verb == "hold":
        await session.get_items()
        print("loaded", flush=True)
        sys.stdin.readline()
    for text in texts:
        await Runner.run(agent, text, session=session)
    items = await session.get_items()
    if kind != "database":
        session.close()
    print(json.dumps({"items": items, "seen": seen}))


if __name__ == "__main__":
    asyncio.run(main())
