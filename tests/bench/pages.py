"""Pages in process: server time and questions to the store, without network.

Each stands beside the same page of a small store, with 1,000 agents and 51 sessions, which tells whether it grows, and
beside a bare page, which tells how fast the machine is.
"""

import functools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections
from django.http import HttpResponse
from django.template import engines
from django.test import Client, RequestFactory

from statestore import growth, models, search
from statestore.access.audit import Actor
from statestore.db.routers import store_alias
from statestore.store import StateStore
from tests.bench import data, figures
from tests.bench.figures import show, timed, timed_in_turns

ROUNDS: Final = 21
_BARE: Final = """<table>{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>"""


def measure(home: Path, client: Client) -> None:
    """Measure each page."""
    settings.SEARCH_INDEX = str(home / "search.db")
    search.index_all()
    growth.sample(store_alias(), models.now(), seconds=600)
    small = {} if data.rows() == data.SMALL_ROWS else _of_small_store(home / "small")
    show("bare page: a table of 50 rows and 8 columns", *timed(_bare_page, ROUNDS))
    for name, address in _addresses(client).items():
        line, asked = f"page: {name}", list[str]()
        with connections["store"].execute_wrapper(functools.partial(_count, asked)):
            assert client.get(address).status_code == 200, address
        (median, p95), (bare, _) = timed_in_turns(functools.partial(client.get, address), _bare_page, ROUNDS)
        grown = {"growth": median / bare / small[line]["bare"]} if line in small else {}
        note = f"{len(asked)} queries, {median / bare:.1f} bare pages"
        note += "".join(f", {times:.1f} × the small store's" for times in grown.values())
        show(line, median, p95, note=note, bare=median / bare, **grown)


def signed_in() -> Client:
    """Return a client that is signed in as a superuser."""
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.ALLOWED_HOSTS.append("testserver")
    client = Client()
    client.force_login(
        get_user_model().objects.get_or_create(username="ada", is_superuser=True, is_staff=True)[0],
        "django.contrib.auth.backends.ModelBackend",
    )
    return client


def _addresses(client: Client) -> dict[str, str]:
    older, far = (_older(client, address) for address in ("/agents/", "/agents/?sort=oldest"))
    store = StateStore(actor=Actor("ada"))
    # As many as a list shows: in a small store too, the audit log and the list of snapshots have a whole page.
    snapshot = [store.create_snapshot("agent-000001", "bench") for _ in range(60)][-1]
    return {
        "overview": "/",
        "agents": "/agents/",
        "agents, next page": f"/agents/?cursor={older}",
        "agents, longest unchanged, next": f"/agents/?sort=oldest&cursor={far}",
        "agents, one status": "/agents/?status=failed",
        "agents, one namespace": "/agents/?namespace=team-3",
        "agents, text that few have": "/agents/?q=agent-000777",
        "agents, text that none has": "/agents/?q=zzzzzz",
        "agent, small past": "/agents/agent-000001/",
        "agent, 10,000 heavy transitions": "/agents/agent-000000/",
        "transition of 11 KB": f"/transitions/heavy-{data.rows()['heavy'] // 2}/",
        "snapshot": f"/snapshots/{snapshot.pk}/",
        "restore preview": f"/agents/agent-000001/restore/?moment=snapshot:{snapshot.pk}",
        "upkeep": "/upkeep/",
        "growth": "/growth/",
        "snapshots": "/snapshots/",
        "restores": "/restores/",
        "events": "/events/",
        "events of a session": "/events/?q=session:session-1",
        "events with a word": "/events/?q=parser",
        "sessions": "/sessions/",
        "a session": "/sessions/session-3/",
        "tasks": "/tasks/",
        "trash": "/trash/",
        "audit": "/audit/",
        "admin: agents": "/admin/statestore/agentstate/",
        "admin: transitions": "/admin/statestore/transition/",
        "admin: events": "/admin/statestore/event/",
    }


def _older(client: Client, address: str) -> str:
    found = re.search(r'data-key="older"\s+href="[^"]*cursor=([\w%-]+)', client.get(address).content.decode())
    assert found, address
    return found[1]


def _bare_page() -> HttpResponse:
    """Return what Django alone does for a page: a request, a template with 400 values, a response."""
    rows = [[f"{row} & {column}" for column in range(8)] for row in range(50)]
    return HttpResponse(_bare_template().render({"rows": rows}, RequestFactory().get("/")))


@functools.cache
def _bare_template() -> Any:
    return engines["django"].from_string(_BARE)


def _of_small_store(home: Path) -> dict[str, dict[str, float]]:
    """Return the figures of the same pages of a small store, measured by a process of its own."""
    home.mkdir(exist_ok=True)
    kept = home / "figures.json"
    sizes = {f"BENCH_{kind.upper()}": str(number) for kind, number in data.SMALL_ROWS.items()}
    own = {"BENCH_HOME": str(home), "BENCH_ONLY": "pages", "BENCH_FIGURES": str(kept), "CHECK": ""}
    subprocess.run([sys.executable, "-m", "tests.bench"], env={**os.environ, **sizes, **own}, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return figures.load(kept)


def _count(asked: list[str], execute: Callable[..., Any], sql: str, *how: Any) -> Any:
    asked.append(sql)
    return execute(sql, *how)
