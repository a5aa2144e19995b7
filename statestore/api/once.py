"""Idempotency-Key: what is asked twice under one key is done once, and answered the same.

The answer is kept in the store, in the very transaction that did what was asked: killed at any moment, the server has
either done it and kept the answer, or done nothing. A second call that comes while the first is at work waits for its
transaction, and then finds the answer. Failures are not kept: nothing was done, and it may be tried again.
"""

import functools
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from statestore import dialect, models
from statestore.api.callers import caller
from statestore.api.problems import Problem
from statestore.routers import store_alias

KEPT_SECONDS: Final = 24 * 3600
MOST_CHARACTERS: Final = 255
_KEY: Final = re.compile(f"[!-~]{{1,{MOST_CHARACTERS}}}")
_KEPT_HEADERS: Final = ("ETag", "Location")
_SWEPT_ROWS: Final = 100


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request under a key: which, and what it asks for."""

    id: str
    fingerprint: str


def idempotent(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer a request that was done before under its key from what was kept. The view writes inside `once`."""

    @functools.wraps(view)
    def answered(request: HttpRequest, *arguments: Any, **keywords: Any) -> HttpResponse:
        key = request.headers.get("Idempotency-Key")
        request.asked = None  # type: ignore[attr-defined]
        if key is not None:
            asked = _asked(request, key)
            if (kept := _kept(asked)) is not None:
                return kept
            request.asked = asked  # type: ignore[attr-defined]
        return view(request, *arguments, **keywords)

    answered.is_idempotent = True  # type: ignore[attr-defined]
    return answered


def once(request: HttpRequest, write: Callable[[], HttpResponse]) -> HttpResponse:
    """Write, and keep the answer in the same transaction where the request has a key."""
    asked: _Asked | None = request.asked  # type: ignore[attr-defined]
    if asked is None:
        return write()
    with dialect.writing(store_alias()):
        kept = _claim(asked)
        return _keep(asked, write()) if kept is None else kept


def kept_afterwards(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Keep the answer of a call that wrote in several transactions, each of which may be repeated without harm."""
    asked: _Asked | None = request.asked  # type: ignore[attr-defined]
    if asked is not None:
        with dialect.writing(store_alias()):
            if _claim(asked) is None:
                _keep(asked, response)
    return response


def seed(request: HttpRequest) -> str | None:
    """Return what ids are made of, so that a repeated call makes the same ones; None without a key."""
    asked: _Asked | None = request.asked  # type: ignore[attr-defined]
    return None if asked is None else asked.id


def _asked(request: HttpRequest, key: str) -> _Asked:
    if not _KEY.fullmatch(key):
        raise Problem("invalid", f"An Idempotency-Key has 1 to {MOST_CHARACTERS} visible ASCII characters.")
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode("utf-8", "surrogateescape"))
    digest.update(request.headers.get("If-Match", "").encode("utf-8", "replace") + b"\n" + request.body)
    who = f"{caller(request).key}\n{key}"
    return _Asked(hashlib.sha256(who.encode()).hexdigest(), digest.hexdigest())


def _kept(asked: _Asked) -> HttpResponse | None:
    found = models.KeptAnswer.objects.using(store_alias()).filter(pk=asked.id).first()
    if found is None or found.expires_at <= models.now():
        return None
    return _replayed(asked, found)


def _replayed(asked: _Asked, found: models.KeptAnswer) -> HttpResponse:
    if found.fingerprint != asked.fingerprint:
        raise Problem(
            "key-reused", "Another request was made under this Idempotency-Key. Nothing was done; use a new one."
        )
    response = HttpResponse(found.body.encode("utf-8", "surrogatepass"), status=found.status)
    for name, value in json.loads(found.headers).items():
        response[name] = value
    if not found.body:
        del response["Content-Type"]
    response["Idempotency-Replayed"] = "true"
    return response


def _claim(asked: _Asked) -> HttpResponse | None:
    """Take the key, or return what is kept under it. A second taker waits here until the first has committed."""
    answers = models.KeptAnswer.objects.using(store_alias())
    now = models.now()
    old = answers.filter(expires_at__lte=now).values_list("pk", flat=True)[:_SWEPT_ROWS]
    answers.filter(
        pk__in=[*old, *answers.filter(pk=asked.id, expires_at__lte=now).values_list("pk", flat=True)]
    ).delete()
    if (found := answers.filter(pk=asked.id).first()) is not None:
        return _replayed(asked, found)
    row = models.KeptAnswer(id=asked.id, fingerprint=asked.fingerprint, expires_at=now + KEPT_SECONDS)
    answers.bulk_create([row], ignore_conflicts=True)
    taken = answers.get(pk=asked.id)
    # One without a status is ours: others become visible with their answers.
    return None if taken.status == 0 else _replayed(asked, taken)


def _keep(asked: _Asked, response: HttpResponse) -> HttpResponse:
    headers = {name: response[name] for name in (*_KEPT_HEADERS, "Content-Type") if name in response}
    models.KeptAnswer.objects.using(store_alias()).filter(pk=asked.id).update(
        status=response.status_code, headers=json.dumps(headers), body=response.content.decode("utf-8", "surrogatepass")
    )
    return response
