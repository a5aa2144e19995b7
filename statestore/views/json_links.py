"""The JSON twin of a page: the API call with the same data, filtered the same. Each view declares its own."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from statestore.db.ids import RowId, from_address, to_address
from statestore.errors import ValidationError
from statestore.history.moments import parse_time

View = TypeVar("View", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Twin:
    """An API call, and how its parameters follow from the page's."""

    call: str
    params: Mapping[str, str]
    fixed: Mapping[str, str]
    when: str
    row: str
    ids: Collection[str]
    times: Collection[str]


def json_twin(
    call: str,
    *same: str,
    when: str = "",
    row: str = "",
    ids: Collection[str] = (),
    times: Collection[str] = (),
    fixed: Mapping[str, str] | None = None,
    **renamed: str,
) -> Callable[[View], View]:
    """Declare a view's JSON twin. Of several, the first whose `when` is given in the query is used.

    `same` and `renamed` are arguments or parameters of the page that the call takes, `fixed` the call's own. The id in
    the call's path is the page's, or the address in the parameter `row`. `ids` are sent as addresses, `times` in
    seconds.
    """
    twin = Twin(call, {name: name for name in same} | renamed, fixed or {}, when, row, ids, times)

    def declare(view: View) -> View:
        view.json_twins = (twin, *getattr(view, "json_twins", ()))  # type: ignore[attr-defined]
        return view

    return declare


def json_url(request: HttpRequest, *, in_trash: bool = False, is_gone: bool = False) -> str:
    """Return the URL of the page's JSON twin, or an empty text if it has none.

    `in_trash`: the page shows an agent in the trash, where the API finds it only on request. `is_gone`: it shows what
    remains of a deleted agent, which has no present in the API.
    """
    match = request.resolver_match
    twins: tuple[Twin, ...] = getattr(match.func, "json_twins", ()) if match else ()
    twin = next((twin for twin in twins if not twin.when or request.GET.get(twin.when)), None)
    if match is None or twin is None:
        return ""
    ids = [value for name, value in match.kwargs.items() if name not in twin.params]
    try:
        ids += [from_address(request.GET[twin.row].strip())] if twin.row else []
    except ValueError:
        return ""
    query = dict(twin.fixed)
    for name, parameter in twin.params.items():
        value = match.kwargs[name] if name in match.kwargs else _parameter(request, name)
        if value is not None:
            query[parameter] = _address_of(value) if name in twin.ids else str(value)
            if name in twin.times:
                query[parameter] = _seconds(str(value))
    if in_trash and (twin.row or "agent_id" in match.kwargs):
        query["trash"] = "true"
    # Invalid UTF-8 cannot be sent in a query string.
    query = {name: value.encode("utf-8", "replace").decode() for name, value in query.items()}
    if is_gone and _is_of_now(twin, query):
        return ""
    call = "get_timeline" if is_gone and twin.call == "get_agent" else twin.call
    url = reverse(f"api:{call}", args=[value if isinstance(value, int) else to_address(value) for value in ids])
    return f"{url}?{urlencode(query)}" if query else url


def _address_of(given: RowId) -> str:
    """Return the address of an id, which a page takes as people see it too."""
    try:
        return to_address(from_address(given) if isinstance(given, str) else given)
    except ValueError:
        return to_address(given)


def _seconds(text: str) -> str:
    """Return a time as the API takes it, or as it is if it is none: the page says so then."""
    try:
        return str(parse_time(text))
    except ValidationError:
        return text


def _is_of_now(twin: Twin, query: Mapping[str, str]) -> bool:
    """Return whether a call reads an agent's present state."""
    moments = {"get_state": ("moment",), "get_diff": ("from", "to")}.get(twin.call, ())
    return any(query.get(name, "now") == "now" for name in moments)


def _parameter(request: HttpRequest, name: str) -> str | None:
    value = request.GET.get(name)
    if name == "namespace":
        # Empty means agents without a namespace, * any.
        return None if value == "*" else value
    return value or None
