"""How a call is declared: method and path, required scope and permission, parameters and responses."""

import functools
from collections.abc import Callable, Mapping
from typing import Final

from django.http import HttpRequest, HttpResponse
from ninja import Router
from ninja.operation import Operation
from ninja.utils import contribute_operation_callback

from statestore.api.auth import Login, Requirement, Token
from statestore.api.idempotency import idempotent
from statestore.api.parsers import decoded, parsed
from statestore.api.problems import Problem
from statestore.jsondiff.pointer import join

_READS: Final = frozenset({"GET", "HEAD"})
# Bodies of any size, which are read as they come.
_STREAMED: Final = frozenset({"application/x-ndjson", "application/octet-stream"})
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

    def action(
        self, path: str, answers: Mapping[int, object], *, scope: str, may: str
    ) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
        """Declare a POST that acts on an existing resource: it accepts If-Match, and its response has an ETag."""
        return self.call("POST", path, answers, scope=scope, may=may, tagged=True, conditional=True)

    def call(
        self,
        method: str,
        path: str,
        answers: Mapping[int, object],
        *,
        scope: str = "read",
        may: str = "",
        fails: tuple[int, ...] = (),
        tagged: bool = False,
        conditional: bool | None = None,
        proof: bool = False,
        extra: Mapping[str, object] | None = None,
        name: str | None = None,
    ) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
        """Declare a call.

        `may`: the permission it requires; `tagged`: its response has an ETag; `conditional`: it accepts If-Match, the
        default for PUT, PATCH and DELETE; `proof`: a login must have given the password lately.
        """
        conditional = method in {"PUT", "PATCH", "DELETE"} if conditional is None else conditional
        requirement = Requirement(scope, may, proof)
        statuses = {*_ALWAYS, *_OF_METHODS[method], *fails}
        problems = sorted(statuses | ({404} if "{" in path else set()))
        unchanged: dict[int, object] = {304: None} if tagged and method == "GET" else {}

        def declare(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
            streams = (extra or {}).get("x-body") in _STREAMED
            checked = _strict(idempotent(view, streams=streams) if method == "POST" else view, conditional=conditional)
            checked.requirement = requirement  # type: ignore[attr-defined]
            self.add_api_operation(
                path, [method], checked, auth=[Token(requirement), Login(requirement)],
                response={**unchanged, **answers}, operation_id=name or view.__name__,
                summary=(view.__doc__ or "").strip().split("\n")[0].rstrip("."),
                description=_description(view, requirement),
                openapi_extra={"x-tagged": tagged, "x-conditional": conditional, "x-problems": problems,
                               **(extra or {})},
            )  # fmt: skip
            return view

        return declare


def _description(view: Callable[..., HttpResponse], requirement: Requirement) -> str:
    text = "\n".join(line.strip() for line in (view.__doc__ or "").strip().split("\n")[1:]).strip()
    permission = f" and the permission `{requirement.codename}`" if requirement.codename else ""
    proof = " A login must have given its password within 15 minutes." if requirement.proof else ""
    return f"{text}\n\nRequires the scope `{requirement.scope}`{permission}.{proof}".strip()


def _strict(view: Callable[..., HttpResponse], *, conditional: bool) -> Callable[..., HttpResponse]:
    """Reject unknown parameters, and a body or condition that the call does not take, rather than ignore them."""
    known: set[str] = set()
    lists: set[str] = set()
    takes_body: list[bool] = []

    @functools.wraps(view)
    def checked(request: HttpRequest, *arguments: object, **keywords: object) -> HttpResponse:
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
            parameters = ", ".join(sorted(known)) or "none"
            raise _refused(
                "query", name, "Unknown parameter.", f"Unknown parameter {name[:80]}. Parameters: {parameters}."
            )
        if any("\0" in value for value in request.GET.getlist(name)):
            raise _refused("query", name, "Contains a NUL character.", f"{name[:80]} contains a NUL character.")
        if len(request.GET.getlist(name)) > 1 and name not in lists:
            raise _refused(
                "query", name, "Given more than once.", f"The parameter {name[:80]} is given more than once."
            )


def _refuse_conditions(request: HttpRequest) -> None:
    for name in ("If-Match", "If-None-Match"):
        if name in request.headers:
            raise _refused(
                "header", name, "Not supported here.", f"This call does not support {name}. Nothing was changed."
            )


def _refuse_body(request: HttpRequest) -> None:
    if not request.body.strip():
        return
    value, _ = parsed(decoded(request.body))
    if value != {}:
        name = next(iter(value)) if isinstance(value, dict) else ""
        place = {"where": "body", "pointer": join([name]) if name else "", "detail": "Unknown field."}
        raise Problem("invalid", "This call takes no body. Nothing was changed.", places=[place])


def _refused(where: str, name: str, place: str, detail: str) -> Problem:
    return Problem("invalid", detail, places=[{"where": where, "name": name[:80], "detail": place}])
