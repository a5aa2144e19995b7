"""What every page shows around its content."""

from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from descartes_site.locations import COMMAND, COMMAND_LINE
from statestore.access import path_prefix, rights
from statestore.db import served
from statestore.db.routers import chosen_name, is_chosen, store_alias
from statestore.views.own_addresses import is_own

# name of the URL, label, sign, permission, the key that leads there after “g”
PLACES = (
    ("overview", "Overview", "◫", "view_agentstate", "o"),
    ("agents", "Agents", "●", "view_agentstate", "a"),
    ("changes", "Changes", "±", "view_agentstate", "c"),
    ("events", "Events", "≡", "view_event", "e"),
    ("sessions", "Sessions", "❏", "view_session", "n"),
    ("tasks", "Tasks", "☑", "view_task", "k"),
    ("restores", "Restores", "⟲", "view_restore", "r"),
    ("snapshots", "Snapshots", "◈", "view_snapshot", "s"),
    ("", "", "", "", ""),
    ("trash", "Trash", "⌫", "view_agentstate", "t"),
    ("audit", "Audit", "✎", "view_auditentry", "u"),
    ("upkeep", "Upkeep", "⌂", "view_agentstate", ""),
    ("growth", "Growth", "▤", "view_agentstate", ""),
    ("sources", "Sources", "⇥", "view_agentstate", ""),
    ("capture", "Capture", "◉", "capture_agent", ""),
)
# Where several stores are served: the places that are about all of them.
PLACES_OF_ALL = (
    ("overview", "Stores", "▥", "", "o"),
    ("events", "Events", "≡", "", "e"),
    ("changes", "Changes", "±", "", "c"),
)
# What a user who is limited to namespaces cannot be shown a part of.
OF_WHOLE_STORE = {"capture", "growth", "sources", "upkeep"}
THEMES = ("system", "light", "dark")
# In which the names of several stores are shown (controls.css).
HUES = 8


def frame(request: HttpRequest) -> dict[str, object]:
    """Return the rail, the store's name and the theme, for each template."""
    user = getattr(request, "user", None)
    name = store_name() if is_chosen() else ""
    return {
        "places": (places_of(user) if is_chosen() else PLACES_OF_ALL) if user else [],
        "store_name": name,
        "store_hue": _hue(name),
        "has_several_stores": served.are_several(),
        "stores_url": f"{path_prefix.current()}/",
        "program": COMMAND,
        "program_line": COMMAND_LINE,
        "theme": theme_of(request),
        "themes": THEMES,
    }


def _hue(name: str) -> int:
    """Return the number of a store's colour: by its place, so that a few stores have different ones."""
    names = list(served.aliases())
    return names.index(name) % HUES if name in names else 0


def places_of(user: User | AnonymousUser) -> list[tuple[str, ...]]:
    """Return the places that a user may open, and the lines between them."""
    return [place for place in PLACES if not place[0] or _is_for(user, place[0], place[3])]


def _is_for(user: User | AnonymousUser, name: str, codename: str) -> bool:
    return rights.may(user, codename) and (name not in OF_WHOLE_STORE or rights.namespaces_of(user) is None)


def theme_of(request: HttpRequest) -> str:
    """Return the theme that the browser's cookie asks for."""
    theme = request.COOKIES.get("theme", "system")
    return theme if theme in THEMES else "system"


def store_name() -> str:
    """Return the store's name of several, or its file's, or the database's."""
    if name := chosen_name():
        return name
    return Path(str(connections[store_alias()].settings_dict["NAME"])).name


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Keep the theme in a cookie and go back."""
    back = request.POST.get("next", "")
    response = redirect(back if is_own(request, back) else reverse("overview"))
    theme = request.POST.get("theme", "")
    response.set_cookie(
        "theme",
        theme if theme in THEMES else "system",
        max_age=365 * 24 * 3600,
        samesite="Lax",
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
    )
    return response
