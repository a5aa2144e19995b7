"""A program of Google ADK's, run by the frameworks' Python: an agent with a tool that writes the session's state.

    google_adk_program.py FILE SERVICE run SESSION TEXT…    let the agent answer each text
    google_adk_program.py FILE SERVICE state SESSION        say what ADK makes of the session
    google_adk_program.py FILE SERVICE hold SESSION         load the session, wait for a line, then append an event

SERVICE is sqlite or database, of which FILE may be a URL. Each prints, as JSON, the session's state, its events, and
what the model saw last. The model is a plain function: it calls the tool once for each text, and says how many
contents it saw.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import unquote

from google.adk.agents import LlmAgent
from google.adk.events import Event
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import DatabaseSessionService
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.adk.tools import ToolContext
from google.genai import types

PLACE = {"app_name": "app", "user_id": "user"}
seen: list[str] = []


class Counting(BaseLlm):
    """Says how many texts of the user it saw, after it has put the newest into the state."""

    model: str = "counting"

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        parts = [part for content in llm_request.contents for part in content.parts or []]
        seen[:] = [part.text for content in llm_request.contents if content.role == "user"
                   for part in content.parts or [] if part.text]  # fmt: skip
        said = types.Part(text=f"saw {len(seen)}")
        if parts[-1].text:
            said = types.Part(function_call=types.FunctionCall(name="remember", args={"what": seen[-1]}))
        yield LlmResponse(content=types.Content(role="model", parts=[said]))


def remember(what: str, tool_context: ToolContext) -> dict[str, str]:
    """Remember something."""
    tool_context.state["last"] = what
    tool_context.state[f"has_{what}"] = True
    return {"done": what}


async def say(runner: Runner, session_id: str, text: str) -> None:
    content = types.Content(role="user", parts=[types.Part(text=text)])
    async for _ in runner.run_async(user_id=PLACE["user_id"], session_id=session_id, new_message=content):
        pass


def url_of(path: str) -> str:
    """Return a file, or the URL of a database by a socket, as SQLAlchemy takes it."""
    if not path.startswith("postgresql://"):
        return f"sqlite+aiosqlite:///{path}"
    front, _, rest = path.removeprefix("postgresql://").partition("/")
    user, _, host = front.partition("@")
    return f"postgresql+asyncpg://{user}@/{rest}?host={unquote(host)}"


async def main() -> None:
    path, kind, verb, session_id, *texts = sys.argv[1:]
    service: Any = SqliteSessionService(path) if kind == "sqlite" else DatabaseSessionService(url_of(path))
    agent = LlmAgent(name="helper", model=Counting(), tools=[remember], output_key="answer")
    runner = Runner(agent=agent, app_name=PLACE["app_name"], session_service=service)
    session = await service.get_session(**PLACE, session_id=session_id)
    if session is None:
        session = await service.create_session(**PLACE, session_id=session_id, state={"tenant": "acme"})
    refused = ""
    if verb == "run":
        for text in texts:
            await say(runner, session_id, text)
    elif verb == "hold":
        print("loaded", flush=True)
        sys.stdin.readline()
        try:
            await service.append_event(session, Event(author="user", invocation_id="held"))
        except ValueError as error:
            refused = type(error).__name__
    session = await service.get_session(**PLACE, session_id=session_id)
    print(
        json.dumps(
            {
                "state": session.state,
                "events": [[event.id, event.invocation_id] for event in session.events],
                "seen": seen,
                "refused": refused,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
