"""Tokens: the caller's own, and all tokens for administrators."""

import json

from django.http import HttpRequest, HttpResponse
from ninja import Query

from descartes_site.locations import COMMAND
from statestore import models
from statestore.access import tokens
from statestore.api.auth import Caller, caller
from statestore.api.calls import Calls
from statestore.api.idempotency import run_resumable
from statestore.api.problems import Problem
from statestore.api.responses import answer, page_of, resource, written
from statestore.api.schemas.common import Listed, PageIn
from statestore.api.schemas.tokens import TokenIn, TokenMadeOut, TokenOut

calls = Calls("tokens")


@calls.call("GET", "/tokens", {200: Listed[TokenOut]})
def list_tokens(request: HttpRequest, params: Query[PageIn]) -> HttpResponse:
    """List your tokens, newest first. Administrators see all tokens."""
    rows = tokens.visible_to(_owner(request).user)
    return page_of(rows, ("-created_at", "-id"), params, lambda token: _serialized(request, token))


@calls.call("GET", "/tokens/{token_id}", {200: TokenOut}, tagged=True)
def get_token(request: HttpRequest, token_id: str) -> HttpResponse:
    """Read a token. The secret is never returned again."""
    token = tokens.find(tokens.visible_to(_owner(request).user), token_id)
    return resource(request, models.row_hash(token), lambda: _serialized(request, token))


@calls.call("POST", "/tokens", {201: TokenMadeOut}, scope="admin", proof=True, tagged=True)
def make_token(request: HttpRequest, body: TokenIn) -> HttpResponse:
    """Create a token. The response contains its secret, which cannot be read again.

    Requires a login: a stolen token must not be able to create another that outlives its revocation. A replay by
    Idempotency-Key does not contain the secret.
    """
    who = caller(request)
    if who.token is not None:
        raise Problem("forbidden", f"A token cannot create tokens. Sign in, or use `{COMMAND} token create`.")

    def work(seed: str | None) -> HttpResponse:
        if (existing := tokens.made_of(who.user, seed)) is not None:
            return _created(existing, None)
        token, secret = tokens.create(
            who.user,
            body.name,
            body.scopes,
            namespaces=body.namespaces,
            stores=body.stores,
            days=body.days,
            seed=seed,
            by=who.actor,
        )
        return _created(token, secret)

    # Responses for replay are kept in the store, which other programs can read.
    return run_resumable(request, work, storable=_without_secret)


@calls.call("POST", "/tokens/{token_id}/revoke", {200: TokenOut}, scope="admin", tagged=True)
def revoke_token(request: HttpRequest, token_id: str) -> HttpResponse:
    """Revoke a token, effective immediately. Administrators can revoke any token."""
    who = _owner(request)

    def work(seed: str | None) -> HttpResponse:
        token = tokens.revoke(token_id, by=who.user)
        return written(_serialized(request, token), etag=models.row_hash(token))

    return run_resumable(request, work)


def _owner(request: HttpRequest) -> Caller:
    """Return the caller, unless its token sees less than its user: tokens name the other namespaces of that."""
    who = caller(request)
    if who.scope.holder == "token":
        who.require_unrestricted("A token")
    return who


def _serialized(request: HttpRequest, token: models.ApiToken) -> TokenOut:
    return TokenOut.of(token, namespaces=tokens.shown_namespaces(token, to=caller(request).user))


def _created(token: models.ApiToken, secret: str | None) -> HttpResponse:
    return written(TokenMadeOut.of(token, secret=secret), etag=models.row_hash(token), is_new=True)


def _without_secret(response: HttpResponse) -> HttpResponse:
    payload = {**json.loads(response.content), "secret": None}
    return answer(payload, status=201, headers={name: response[name] for name in ("ETag", "Location")})
