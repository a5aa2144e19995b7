"""The ASGI entry point."""

import os

from django.core.asgi import get_asgi_application

from descartes_site import start

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "descartes_site.settings")
with start.refusals_in_words():
    start.verify()
    application = get_asgi_application()
