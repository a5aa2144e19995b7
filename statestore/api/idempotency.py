"""Idempotency-Key: a request sent twice with one key runs once, and the second response is a replay of the first.

`run_in_transaction` stores the response in the transaction that does the work. Killed at any point, the server has
either done the work and stored the response, or neither. A concurrent request with the same key waits for the
transaction and then replays its response.

`run_resumable` is for work that takes several transactions or two databases. The key is reserved first, so that a
concurrent request is rejected. After a crash the next request with the key does the work again; each step must be
repeatable.

Failures are not stored: the request can be retried with the same key.
"""

import functools
import hashlib
import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from statestore import models
from statestore.access import rights
from statestore.api import limits
from statestore.api.auth import caller
from statestore.api.parsers import spooled
from statestore.api.problems import Problem
from statestore.db import transactions
from statestore.db.routers import chosen_name, store_alias

_KEY: Final = re.compile(f"[!-~]{{1,{limits.KEY_CHARACTERS}}}")
_STORED_HEADERS: Final = ("ETag", "Location")


@dataclass(frozen=True, slots=True)
class _KeyedRequest:
    """A request with a key. `id` is the hash of caller and key, `fingerprint` that of what it requests."""

    id: str
    fingerprint: str


def idempotent(view: Callable[..., HttpResponse], *, streams: bool = False) -> Callable[..., HttpResponse]:
    """Replay the stored response for a key that was used before. The view writes inside one of the functions below.

    `streams`: the body has no size limit. It is spooled to disk for hashing, and the view reads it from there.
    """

    @functools.wraps(view)
    def replay_or_run(request: HttpRequest, *arguments: object, **keywords: object) -> HttpResponse:
        key = request.headers.get("Idempotency-Key")
        request.keyed = None  # type: ignore[attr-defined]
        if key is None:
            return view(request, *arguments, **keywords)
        with spooled(request) if streams else nullcontext(hashlib.sha256(request.body).hexdigest()) as body_hash:
            keyed = _keyed_request(request, key, body_hash)
            if (stored := _stored_response(keyed)) is not None:
                return stored
            request.keyed = keyed  # type: ignore[attr-defined]
            return view(request, *arguments, **keywords)

    replay_or_run.is_idempotent = True  # type: ignore[attr-defined]
    return replay_or_run


def run_in_transaction(request: HttpRequest, write: Callable[[], HttpResponse]) -> HttpResponse:
    """Write, and if the request has a key, store the response in the same transaction."""
    keyed: _KeyedRequest | None = request.keyed  # type: ignore[attr-defined]
    if keyed is None:
        return write()
    with transactions.writing(store_alias()):
        stored = _claim(keyed)
        return _store(keyed, write()) if stored is None else stored


def _unchanged(response: HttpResponse) -> HttpResponse:
    return response


def run_resumable(
    request: HttpRequest,
    work: Callable[[str | None], HttpResponse],
    *,
    storable: Callable[[HttpResponse], HttpResponse] = _unchanged,
) -> HttpResponse:
    """Do work of several steps, each of them repeatable, and if the request has a key, store the response.

    `work` gets a seed from which it derives ids, so that a second run uses the same ones; None without a key.
    `storable` returns the response to store, without what must not be stored.
    """
    keyed: _KeyedRequest | None = request.keyed  # type: ignore[attr-defined]
    if keyed is None:
        return work(None)
    with transactions.writing(store_alias()):
        reservation = _reserve(keyed)
    if isinstance(reservation, HttpResponse):
        return reservation
    try:
        response = work(hashlib.sha256(f"{keyed.id} {reservation}".encode()).hexdigest())
    except Exception:
        # Release the key but keep its row: a retry repeats the finished steps with the same seed.
        with transactions.writing(store_alias()):
            _responses().filter(pk=keyed.id, status=0).update(busy_until=0)
        raise
    with transactions.writing(store_alias()):
        _store(keyed, storable(response))
    return response


def _responses() -> QuerySet[models.IdempotentResponse]:
    return models.IdempotentResponse.objects.using(store_alias())


def _reserve(keyed: _KeyedRequest) -> HttpResponse | int:
    """Reserve the key and return when it expires, or the stored response. Raises a problem while it is reserved."""
    now = models.now()
    _sweep(keyed, now)
    row = _responses().select_for_update().filter(pk=keyed.id).first()
    if row is None:
        row = models.IdempotentResponse(
            id=keyed.id,
            fingerprint=keyed.fingerprint,
            expires_at=now + limits.KEPT_SECONDS,
            busy_until=now + limits.BUSY_SECONDS,
        )
        try:
            with transaction.atomic(using=store_alias()):
                row.save(using=store_alias(), force_insert=True)
            return int(row.expires_at)
        except IntegrityError:
            row = _responses().select_for_update().get(pk=keyed.id)
    if row.fingerprint != keyed.fingerprint and row.busy_until == 0 and row.status == 0:
        # The other request failed and its client knows: the key is free.
        row.fingerprint, row.expires_at = keyed.fingerprint, now + limits.KEPT_SECONDS
    if row.status or row.fingerprint != keyed.fingerprint:
        return _replayed(keyed, row)
    if row.busy_until > now:
        wait = str(int(row.busy_until) - now)
        raise Problem("in-progress", "A request with this key is in progress.", headers={"Retry-After": wait})
    row.busy_until = now + limits.BUSY_SECONDS
    row.save(using=store_alias(), update_fields=["fingerprint", "expires_at", "busy_until"])
    return int(row.expires_at)


def _keyed_request(request: HttpRequest, key: str, body_hash: str) -> _KeyedRequest:
    if not _KEY.fullmatch(key):
        detail = f"Idempotency-Key must be 1 to {limits.KEY_CHARACTERS} visible ASCII characters."
        place = {"where": "header", "name": "Idempotency-Key", "detail": detail}
        raise Problem("invalid", detail, places=[place])
    content = f"{request.method} {request.get_full_path()}\n{request.headers.get('If-Match', '')}\n{body_hash}"
    # One key in two stores stands for two requests.
    owner = f"{caller(request).key}\n{key}{_reach(request)}{chosen_name()}"
    fingerprint = hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()
    return _KeyedRequest(hashlib.sha256(owner.encode()).hexdigest(), fingerprint)


def _reach(request: HttpRequest) -> str:
    """Return what tells the namespaces of a limited user: after a change of these nothing is replayed from before."""
    namespaces = rights.namespaces_of(caller(request).user)
    return "" if namespaces is None else f"\n{json.dumps(namespaces)}"


def _stored_response(keyed: _KeyedRequest) -> HttpResponse | None:
    row = _responses().filter(pk=keyed.id).first()
    if row is None or row.expires_at <= models.now() or row.status == 0:
        return None
    return _replayed(keyed, row)


def _replayed(keyed: _KeyedRequest, row: models.IdempotentResponse) -> HttpResponse:
    if row.fingerprint != keyed.fingerprint:
        raise Problem(
            "key-reused",
            "This Idempotency-Key was used for a different request. Nothing was changed. Use a new key.",
        )
    response = HttpResponse(row.body.encode("utf-8", "surrogatepass"), status=row.status)
    for name, value in json.loads(row.headers).items():
        response[name] = value
    if not row.body:
        del response["Content-Type"]
    response["Idempotency-Replayed"] = "true"
    return response


def _claim(keyed: _KeyedRequest) -> HttpResponse | None:
    """Claim the key, or return its stored response. A concurrent claim waits here until this transaction commits."""
    now = models.now()
    _sweep(keyed, now)
    if (stored := _responses().filter(pk=keyed.id).first()) is not None:
        return _replayed(keyed, stored)
    row = models.IdempotentResponse(id=keyed.id, fingerprint=keyed.fingerprint, expires_at=now + limits.KEPT_SECONDS)
    _responses().bulk_create([row], ignore_conflicts=True)
    claimed = _responses().get(pk=keyed.id)
    # Status 0 is this transaction's own row: others become visible only with their responses.
    return None if claimed.status == 0 else _replayed(keyed, claimed)


def _sweep(keyed: _KeyedRequest, now: int) -> None:
    """Delete expired responses: this key's, and some of the others."""
    expired = _responses().filter(expires_at__lte=now)
    ids = expired.values_list("pk", flat=True)
    expired.filter(pk__in=[*ids.filter(pk=keyed.id), *ids[: limits.SWEPT_ROWS]]).delete()


def _store(keyed: _KeyedRequest, response: HttpResponse) -> HttpResponse:
    headers = {name: response[name] for name in (*_STORED_HEADERS, "Content-Type") if name in response}
    _responses().filter(pk=keyed.id).update(
        status=response.status_code, headers=json.dumps(headers), body=response.content.decode("utf-8", "surrogatepass")
    )
    return response
