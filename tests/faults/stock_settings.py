"""The site's settings with Django's own SQLite backend, which goes on with a file that was replaced: for a canary."""

from descartes_site.settings import *  # noqa: F403
from descartes_site.settings import DATABASES as SOUND_DATABASES

DATABASES = {alias: {**values, "ENGINE": "django.db.backends.sqlite3"} for alias, values in SOUND_DATABASES.items()}
