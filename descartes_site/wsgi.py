"""The WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "descartes_site.settings")
application = get_wsgi_application()

from statestore import search  # noqa: E402 (the apps are loaded now)
from statestore.db import postgresql  # noqa: E402

postgresql.bound_statements()
search.watch_indexer()
