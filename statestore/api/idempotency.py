"""Idempotency-Key: what is asked twice under one key is done once, and answered the same.

`once`: the answer is kept in the store, in the very transaction that did what was asked. Killed at any moment, the
server has either done it and kept the answer, or done nothing. A second call that comes while the first is at work
waits for its transaction, and then finds the answer.

`stepwise`, for what takes several transactions or two databases: the key is taken before, so that of two callers one
works and the other is told so. Killed in between, the work is done again by whoever asks next; its steps bear that.

Failures are not kept: it may be tried again.
"""

import functools
import hashlib
import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse

from statestore import models
from statestore.api.auth import caller
from statestore.api.parsers import spooled
from statestore.api.problems import Problem
from statestore.db import transactions
from statestore.db.routers import store_alias

KEPT_SECONDS: Final = 24 * 3600
# So long after it took a key, a server that has not answered is taken for dead.
BUSY_SECONDS: Final = 60
MOST_CHARACTERS: Final = 255
_KEY: Final = re.compile(f"[!-~]{{1,{MOST_CHARACTERS}}}")
_KEPT_HEADERS: Final = ("ETag", "Location")
_SWEPT_ROWS: Final = 100


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request under a key: which, and what it asks for."""

    id: str
    fingerprint: str


def idempotent(view: Callable[..., HttpResponse], *, streams: bool = False) -> Callable[..., HttpResponse]:
    """Answer a request that was done before under its key from what was kept. The view writes inside one of the two.

    `streams`: the body may have any length; it is spooled to be compared, for the view to read from there.
    """

    @functools.wraps(view)
    def answered(request: HttpRequest, *arguments: Any, **keywords: Any) -> HttpResponse:
        key = request.headers.get("Idempotency-Key")
        request.asked = None  # type: ignore[attr-defined]
        if key is None:
            return view(request, *arguments, **keywords)
        with spooled(request) if streams else nullcontext(hashlib.sha256(request.body).hexdigest()) as body:
            asked = _asked(request, key, body)
            if (kept := _kept(asked)) is not None:
                return kept
            request.asked = asked  # type: ignore[attr-defined]
            return view(request, *arguments, **keywords)

    answered.is_idempotent = True  # type: ignore[attr-defined]
    return answered


def run_in_transaction(request: HttpRequest, write: Callable[[], HttpResponse]) -> HttpResponse:
    """Write, and keep the answer in the same transaction where the request has a key."""
    asked: _Asked | None = request.asked  # type: ignore[attr-defined]
    if asked is None:
        return write()
    with transactions.writing(store_alias()):
        kept = _claim(asked)
        return _keep(asked, write()) if kept is None else kept


def _as_it_is(response: HttpResponse) -> HttpResponse:
    return response


def run_resumable(
    request: HttpRequest,
    work: Callable[[str | None], HttpResponse],
    *,
    shown: Callable[[HttpResponse], HttpResponse] = _as_it_is,
) -> HttpResponse:
    """Do what takes several steps, each of which bears to be repeated, and keep the answer, or what is `shown` of it.

    `work` is given a seed, of which it makes ids that are the same when it is done again, None without a key.
    """
    asked: _Asked | None = request.asked  # type: ignore[attr-defined]
    if asked is None:
        return work(None)
    with transactions.writing(store_alias()):
        taken = _take(asked)
    if isinstance(taken, HttpResponse):
        return taken
    try:
        response = work(hashlib.sha256(f"{asked.id} {taken}".encode()).hexdigest())
    except Exception:
        # What it did before it failed is done again under the same seed.
        with transactions.writing(store_alias()):
            models.IdempotentResponse.objects.using(store_alias()).filter(pk=asked.id, status=0).update(busy_until=0)
        raise
    with transactions.writing(store_alias()):
        _keep(asked, shown(response))
    return response


def _take(asked: _Asked) -> HttpResponse | int:
    """Take the key and return until when it is kept, or the answer that is. Raises a problem while another has it."""
    answers, now = models.IdempotentResponse.objects.using(store_alias()), models.now()
    _sweep(asked, now)
    found = answers.select_for_update().filter(pk=asked.id).first()
    if found is None:
        mine = models.IdempotentResponse(
            id=asked.id, fingerprint=asked.fingerprint, expires_at=now + KEPT_SECONDS, busy_until=now + BUSY_SECONDS
        )
        try:
            with transaction.atomic(using=store_alias()):
                mine.save(using=store_alias(), force_insert=True)
            return int(mine.expires_at)
        except IntegrityError:
            found = answers.select_for_update().get(pk=asked.id)
    if found.fingerprint != asked.fingerprint and found.busy_until == 0 and found.status == 0:
        # The other failed, and was told so.
        found.fingerprint, found.expires_at = asked.fingerprint, now + KEPT_SECONDS
    if found.status or found.fingerprint != asked.fingerprint:
        return _replayed(asked, found)
    if found.busy_until > now:
        wait = str(int(found.busy_until) - now)
        raise Problem("in-progress", "The same call is at work under this key.", headers={"Retry-After": wait})
    found.busy_until = now + BUSY_SECONDS
    found.save(using=store_alias(), update_fields=["fingerprint", "expires_at", "busy_until"])
    return int(found.expires_at)


def _asked(request: HttpRequest, key: str, body: str) -> _Asked:
    if not _KEY.fullmatch(key):
        place = {"where": "header", "name": "Idempotency-Key", "detail": "It is no such key."}
        raise Problem(
            "invalid", f"An Idempotency-Key has 1 to {MOST_CHARACTERS} visible ASCII characters.", places=[place]
        )
    what = f"{request.method} {request.get_full_path()}\n{request.headers.get('If-Match', '')}\n{body}"
    who = f"{caller(request).key}\n{key}"
    fingerprint = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()
    return _Asked(hashlib.sha256(who.encode()).hexdigest(), fingerprint)


def _kept(asked: _Asked) -> HttpResponse | None:
    found = models.IdempotentResponse.objects.using(store_alias()).filter(pk=asked.id).first()
    if found is None or found.expires_at <= models.now() or found.status == 0:
        return None
    return _replayed(asked, found)


def _replayed(asked: _Asked, found: models.IdempotentResponse) -> HttpResponse:
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
    answers = models.IdempotentResponse.objects.using(store_alias())
    now = models.now()
    _sweep(asked, now)
    if (found := answers.filter(pk=asked.id).first()) is not None:
        return _replayed(asked, found)
    row = models.IdempotentResponse(id=asked.id, fingerprint=asked.fingerprint, expires_at=now + KEPT_SECONDS)
    answers.bulk_create([row], ignore_conflicts=True)
    taken = answers.get(pk=asked.id)
    # One without a status is ours: others become visible with their answers.
    return None if taken.status == 0 else _replayed(asked, taken)


def _sweep(asked: _Asked, now: int) -> None:
    """Forget what was kept for a day, this key's before others'."""
    answers = models.IdempotentResponse.objects.using(store_alias()).filter(expires_at__lte=now)
    old = answers.values_list("pk", flat=True)
    answers.filter(pk__in=[*old.filter(pk=asked.id), *old[:_SWEPT_ROWS]]).delete()


def _keep(asked: _Asked, response: HttpResponse) -> HttpResponse:
    headers = {name: response[name] for name in (*_KEPT_HEADERS, "Content-Type") if name in response}
    models.IdempotentResponse.objects.using(store_alias()).filter(pk=asked.id).update(
        status=response.status_code, headers=json.dumps(headers), body=response.content.decode("utf-8", "surrogatepass")
    )
    return response
