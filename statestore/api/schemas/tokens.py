"""Tokens: what one is, and what is asked for a new one."""

from typing import Annotated, Literal

from pydantic import Field

from statestore.access.tokens import MOST_DAYS, MOST_NAMESPACES, USUAL_DAYS
from statestore.api.schemas.common import In, Out, StoredSeconds, Time

Scope = Literal["read", "write", "restore", "admin"]


class TokenIn(In):
    """A token to make."""

    name: Annotated[str, Field(min_length=1, max_length=100, description="The script that uses it.")]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]
    namespaces: Annotated[
        list[Annotated[str, Field(max_length=500)]] | None,
        Field(max_length=MOST_NAMESPACES, description="Those that it sees; null for all."),
    ] = None
    days: Annotated[int, Field(ge=1, le=MOST_DAYS, description="How long it holds.")] = USUAL_DAYS


class TokenOut(Out):
    """A token, without its secret."""

    id: str
    prefix: Annotated[str, Field(description="What its text begins with.")]
    name: str
    user: str
    scopes: list[str]
    namespaces: list[str] | None
    created_at: Time
    created_at_seconds: StoredSeconds
    expires_at: Time
    expires_at_seconds: StoredSeconds
    last_used_at: Time
    last_used_at_seconds: StoredSeconds
    revoked_at: Time
    revoked_at_seconds: StoredSeconds
    url: str
    page: str


class TokenMadeOut(TokenOut):
    """A token that was made."""

    secret: Annotated[str | None, Field(description="Its text, told once; null where the call was repeated.")]
