"""The WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application

from descartes_site import start

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "descartes_site.settings")
with start.refusals_in_words():
    start.verify()
    start.send_telemetry()
    application = get_wsgi_application()

from statestore import search
from statestore.db import postgresql
from statestore.operations import housekeeping
from statestore.sources import following

postgresql.bound_statements()
search.watch_indexer()
housekeeping.watch()
following.watch()
