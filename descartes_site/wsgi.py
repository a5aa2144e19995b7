"""The WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "descartes_site.settings")
django_application = get_wsgi_application()

from statestore import search  # noqa: E402 (the apps are loaded now)
from statestore.db import postgresql  # noqa: E402
from statestore.operations.slow_clients import UnhurriedBodies  # noqa: E402
from statestore.views.health import PROBES  # noqa: E402

application = UnhurriedBodies(django_application, ahead=PROBES)

postgresql.bound_statements()
search.watch_indexer()
