"""A process that loses its rights and then opens every page: `python -m tests.faults.reader PATH… [--bare]`.

It prepares everything that a running server has loaded, closes its connections, takes the right to write from the
paths, becomes nobody where it was root, and asks for each page with a server's eyes of before. Prints one JSON list of
answers. `--bare` leaves out what turns failures into words: the canary.
"""

import json
import os
import sys
from typing import Any

PAGES = (
    "/", "/agents/", "/agents/?q=quiet", "/agents/quiet-0/", "/agents/planner/", "/agents/nowhere/", "/snapshots/",
    "/restores/", "/events/", "/trash/", "/audit/", "/readyz", "/healthz", "/admin/", "/admin/statestore/task/",
    "/admin/statestore/session/", "/admin/statestore/agentstate/",
)  # fmt: skip
NOBODY = 65534


def main() -> None:
    import django
    from django.conf import settings

    paths = [word for word in sys.argv[1:] if word != "--bare"]
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    settings.ALLOWED_HOSTS = ["testserver"]
    is_bare = "--bare" in sys.argv
    if is_bare:
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != "statestore.middleware.StoreErrors"]
    django.setup()
    from django.contrib.auth.models import User
    from django.db import connections
    from django.test import Client

    from descartes_site import urls
    from statestore import models
    from statestore.adoption.status import forget_store_status
    from tests.faults.sites import NAME, QUIET

    if is_bare:
        urls.handler500 = "django.views.defaults.server_error"
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.get(username=NAME), "django.contrib.auth.backends.ModelBackend")
    agent = models.AgentState.objects.get(agent_id=QUIET[0])
    (snapshot_id, *_) = models.Snapshot.objects.filter(agent_id=agent.agent_id).values_list("pk", flat=True)
    click = {"moment": f"snapshot:{snapshot_id}", "etag": agent.etag(), "confirmed": "1"}
    restore = f"/agents/{agent.agent_id}/restore/"
    # What is imported lazily may lie where nobody may read; a server has it all after its first pages.
    for page in (*PAGES, restore):
        client.get(page)
    connections.close_all()
    forget_store_status()
    for path in paths:
        os.chmod(path, 0o555 if os.path.isdir(path) else 0o444)
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    answers = [_answer("GET", page, client.get(page)) for page in PAGES]
    answers.append(_answer("GET", restore, client.get(restore, {"moment": click["moment"]})))
    answers.append(_answer("POST", restore, client.post(restore, click)))
    print(json.dumps(answers))


def _answer(method: str, path: str, response: Any) -> dict[str, Any]:
    text = response.content.decode()
    return {
        "method": method,
        "path": path,
        "status": response.status_code,
        "again": response.headers.get("Retry-After", ""),
        "text": text[max(0, text.find("<body")) :],
    }


if __name__ == "__main__":
    main()
