"""The site's settings with one fault built in: its restores are not transactions. For canaries only."""

from descartes_site.settings import *  # noqa: F403
from descartes_site.settings import INSTALLED_APPS as SOUND_APPS

INSTALLED_APPS = [*SOUND_APPS, "tests.faults.broken.Piecemeal"]
