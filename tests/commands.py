"""Management commands in a process of their own: several at a time, since starting Django is what takes long."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_RUN = """
import json, sys
import django
django.setup()
from django.core.management import call_command
for words in json.loads(sys.argv[1]):
    call_command(*words)
"""


def manage(variables: Mapping[str, str], *commands: Sequence[str]) -> str:
    """Run commands one after the other with environment variables, and return what they printed."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "descartes_site.settings", **variables}
    done = subprocess.run(
        [sys.executable, "-c", _RUN, json.dumps(commands)], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{commands}: {done.stdout}{done.stderr}"
    return done.stdout
