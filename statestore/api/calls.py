"""How a call is declared: its method and path, whom it is for, what it takes and what it answers."""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from ninja import Router
from ninja.operation import Operation
from ninja.utils import contribute_operation_callback

from statestore.api.auth import Login, Requirement, Token
from statestore.api.idempotency import idempotent
from statestore.api.parsers import decoded, parsed
from statestore.api.problems import Problem
from statestore.api.schemas.common import ProblemOut
from statestore.db.ids import ADDRESS, RowId, from_address
from statestore.errors import NotFound
from statestore.jsondiff.pointer import join

_READS: Final = frozenset({"GET", "HEAD"})
_ALWAYS: Final = (401, 403, 429, 500, 503)
_OF_METHODS: Final = {
    "GET": (422,),
    "POST": (400, 404, 409, 411, 412, 413, 415, 422),
    "PUT": (400, 404, 409, 411, 412, 413, 415, 422),
    "PATCH": (400, 404, 409, 411, 412, 413, 415, 422),
    "DELETE": (404, 409, 412, 422),
}


class Calls(Router):
    """The calls about one noun."""

    def __init__(self, noun: str) -> None:
        super().__init__(tags=[noun])

    def call(
        self,
        method: str,
        path: str,
        answers: Mapping[int, Any],
        *,
        scope: str = "read",
        may: str = "",
        fails: tuple[int, ...] = (),
        tagged: bool = False,
        conditional: bool | None = None,
        extra: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
        """Declare a call.

        `may`: the permission that its caller's role must have; `tagged`: it answers with an ETag; `conditional`: it
        takes If-Match, as each PUT, PATCH and DELETE does.
        """
        conditional = method in {"PUT", "PATCH", "DELETE"} if conditional is None else conditional
        need = Requirement(scope, may)
        statuses = {*_ALWAYS, *_OF_METHODS[method], *fails}
        statuses |= ({404} if "{" in path else set()) | ({304} if tagged and method == "GET" else set())

        def declare(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
            streams = (extra or {}).get("x-body") == "application/x-ndjson"
            checked = _strict(idempotent(view, streams=streams) if method == "POST" else view, conditional=conditional)
            checked.need = need  # type: ignore[attr-defined]
            responses = {**{s: None if s == 304 else ProblemOut for s in sorted(statuses)}, **answers}
            self.add_api_operation(
                path, [method], checked, auth=[Token(need), Login(need)], response=responses,
                operation_id=name or view.__name__, summary=(view.__doc__ or "").strip().split("\n")[0].rstrip("."),
                description=_description(view, need),
                openapi_extra={"x-tagged": tagged, "x-conditional": conditional, **(extra or {})},
            )  # fmt: skip
            return view

        return declare


def _description(view: Callable[..., HttpResponse], need: Requirement) -> str:
    text = "\n".join(line.strip() for line in (view.__doc__ or "").strip().split("\n")[1:]).strip()
    needs = f"Needs the scope `{need.scope}`" + (f" and the permission `{need.codename}`." if need.codename else ".")
    return f"{text}\n\n{needs}".strip()


def _strict(view: Callable[..., HttpResponse], *, conditional: bool) -> Callable[..., HttpResponse]:
    """Refuse what a call does not have, be it a parameter, a body or a condition: passed over, it would mislead."""
    known: set[str] = set()
    lists: set[str] = set()
    takes_body: list[bool] = []

    @functools.wraps(view)
    def checked(request: HttpRequest, *arguments: Any, **keywords: Any) -> HttpResponse:
        _check_query(request, known, lists)
        if request.method not in _READS:
            if not conditional:
                _refuse_conditions(request)
            if not takes_body:
                _refuse_body(request)
        return view(request, *arguments, **keywords)

    def learn(operation: Operation) -> None:
        if "x-body" in (operation.openapi_extra or {}):
            takes_body.append(True)
        for model in operation.models:
            if model.__ninja_param_source__ == "body":
                takes_body.append(True)
            if model.__ninja_param_source__ == "query":
                known.update(getattr(model, "__ninja_flatten_map__", {}))
                lists.update(getattr(model, "__ninja_collection_fields__", ()))

    contribute_operation_callback(checked, learn)
    return checked


def _check_query(request: HttpRequest, known: set[str], lists: set[str]) -> None:
    for name in request.GET:
        if name not in known:
            offered = ", ".join(sorted(known)) or "none"
            said = f"There is no parameter {name[:80]}; there is: {offered}."
            raise _refused("query", name, "There is no such parameter.", said)
        if any("\0" in value for value in request.GET.getlist(name)):
            raise _refused(
                "query", name, "It holds a NUL character.", f"{name} holds a NUL character, which no text has."
            )
        if len(request.GET.getlist(name)) > 1 and name not in lists:
            said = f"The parameter {name[:80]} stands in the address more than once."
            raise _refused("query", name, "It stands there more than once.", said)


def _refuse_conditions(request: HttpRequest) -> None:
    for name in ("If-Match", "If-None-Match"):
        if name in request.headers:
            said = f"This call takes no {name}: it is bound to no row. Nothing was changed."
            raise _refused("header", name, "This call does not take it.", said)


def _refuse_body(request: HttpRequest) -> None:
    if not request.body.strip():
        return
    value, _ = parsed(decoded(request.body))
    if value != {}:
        name = next(iter(value)) if isinstance(value, dict) else ""
        place = {"where": "body", "pointer": join([name]) if name else "", "detail": "There is no such field."}
        raise Problem("invalid", "This call takes no body. Nothing was changed.", places=[place])


def _refused(where: str, name: str, detail: str, said: str) -> Problem:
    return Problem("invalid", said, places=[{"where": where, "name": name[:80], "detail": detail}])


def id_of(address: str, what: str) -> RowId:
    """Return the id that a part of a path names. Raises NotFound where none could: each id has one address only."""
    try:
        if not re.fullmatch(ADDRESS, address):
            raise ValueError(address)
        return from_address(address)
    except ValueError:
        raise NotFound(f"There is no {what} “{address[:80]}” here.") from None
