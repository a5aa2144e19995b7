"""API tokens."""

from typing import Annotated, Literal

from django.urls import reverse
from pydantic import BeforeValidator, Field

from statestore.access.rights import MOST_NAMESPACES, NAMESPACE_CHARACTERS
from statestore.access.tokens import MOST_DAYS, USUAL_DAYS
from statestore.api.schemas.common import In, Out, example
from statestore.api.schemas.fields import StoredSeconds, Text, Time, api_url

Scope = Literal["read", "write", "restore", "approve", "admin"]


class TokenIn(In):
    """A token to create."""

    model_config = example({"name": "my script", "scopes": ["read", "write"]})

    name: Annotated[str, Field(min_length=1, max_length=100, description="A name, such as the script that uses it.")]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=5, description="Not both restore and approve.")]
    namespaces: Annotated[
        list[Annotated[str, Field(max_length=NAMESPACE_CHARACTERS)]] | None,
        Field(max_length=MOST_NAMESPACES, description="Visible namespaces; null for all that the account sees."),
    ] = None
    stores: Annotated[
        list[Annotated[str, Field(max_length=40)]],
        Field(max_length=1000, description="Of several stores those that it opens; this one if none is named."),
    ] = []
    days: Annotated[int, Field(ge=1, le=MOST_DAYS, description="Days until it expires.")] = USUAL_DAYS


class TokenOut(Out):
    """A token, without its secret."""

    id: str = Field(validation_alias="public_id")
    prefix: Annotated[str, Field(description="The beginning of the secret.")]
    name: Text
    user: Annotated[str, BeforeValidator(lambda user: user.get_username())]
    scopes: Annotated[list[str], BeforeValidator(str.split)]
    namespaces: list[str] | None
    stores: Annotated[list[str] | None, Field(description="Of several stores those that it opens; null for all.")]
    created_at: Time
    created_at_seconds: StoredSeconds
    expires_at: Time
    expires_at_seconds: StoredSeconds
    last_used_at: Time
    last_used_at_seconds: StoredSeconds
    revoked_at: Time
    revoked_at_seconds: StoredSeconds
    url: Annotated[str, api_url("get_token")] = Field(validation_alias="public_id")
    page: str = Field(default_factory=lambda: reverse("tokens"))


class TokenMadeOut(TokenOut):
    """A new token with its secret."""

    secret: Annotated[str | None, Field(description="The secret, returned only once; null in a replayed response.")]
