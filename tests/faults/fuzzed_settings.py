"""The site's settings for the fuzzer, which sends more wrong tokens in a minute than one address may."""

from descartes_site.settings import *  # noqa: F403
from descartes_site.settings import INSTALLED_APPS as SOUND_APPS

INSTALLED_APPS = [*SOUND_APPS, "tests.faults.fuzzed.Patient"]
