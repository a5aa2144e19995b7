"""schemathesis over the whole description: no 5xx, no breach of the schema, no way around the login.

The real server is asked, by a token that may do all. Making up a case and checking its answer takes longer than
answering it: two programs do that at the same time, in phases of their own. `FAULTS=long` fuzzes for longer than CI has
time.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from statestore.api.site import site as api
from tests.faults.scale import times
from tests.faults.server import HOST, serving
from tests.faults.sites import NAME, Site, SiteMaker

pytestmark = [pytest.mark.faults, pytest.mark.alone, pytest.mark.sqlite]

SECONDS = times(150, 1_800)
# What each program does: the first what the description names one by one and then chains of calls, the second single
# calls with whatever can be made up for them.
PHASES = ("examples,coverage,stateful", "fuzzing")
# What a description cannot say: which rows there are, what the domain refuses.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 304, 401, 403, 404, 409, 412, 422]
[checks.negative_data_rejection]
expected-statuses = ["4xx"]
[checks.use_after_free]
enabled = false
"""
MAKE_SUPERUSER = "from django.contrib.auth.models import User; User.objects.update(is_superuser=True)"
# Serializers for media types that the program does not know.
HOOKS = """
import json
import os
import schemathesis
from schemathesis.specs.openapi.checks import use_after_free

@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")

@schemathesis.check
def deleted_is_gone(context, response, case):
    # The program's own check, but for agents: one that was deleted is in the trash, where it can still be looked at.
    return None if "/agents/{agent_id}" in case.operation.path else use_after_free(context, response, case)

@schemathesis.hook
def filter_case(context, case):
    # As lines, any value is sent as text: to be no text is nothing that such a body can be.
    if case.operation.path.endswith("/tokens/{token_id}/revoke"):
        # Its own: everything after it would be refused.
        return (case.path_parameters or {}).get("token_id") != os.environ["OWN_TOKEN"]
    is_lines = case.media_type == "application/x-ndjson"
    return not (is_lines and isinstance(case.body, (bool, int, float, list, dict, type(None))))
"""


def test_the_api_keeps_what_its_description_says(make_site: SiteMaker, tmp_path: Path):
    site = make_site("wal")
    site.manage("shell", "-v", "0", "-c", MAKE_SUPERUSER)
    secret = site.manage("token", "create", "fuzz", "--user", NAME, "--scopes", "read,write,restore,admin").strip()
    with serving(site) as server:
        programs = [_fuzzing(site, server.port, secret, phases, tmp_path / phases) for phases in PHASES]
        ended = [program.wait() for program in programs]
        log = server.log()
    told = [(tmp_path / phases / "told.txt").read_text() for phases in PHASES]
    generated = sum(int(number) for text in told for number in re.findall(r"(\d+) generated", text))
    print("FUZZ", generated, "cases;", *re.findall(r"Seed: \d+", "".join(told)))
    assert ended == [0, 0], "\n".join(text[-6000:] for text in told)
    assert "Traceback" not in log


def _fuzzing(site: Site, port: int, secret: str, phases: str, directory: Path) -> subprocess.Popen[bytes]:
    """Return a program that asks the server, and leaves in a directory what it has to tell."""
    directory.mkdir()
    (directory / "openapi.json").write_text(json.dumps(api.get_openapi_schema(path_prefix="/api/v1/")))
    (directory / "schemathesis.toml").write_text(CONFIGURATION)
    (directory / "hooks.py").write_text(HOOKS)
    hooks = {"SCHEMATHESIS_HOOKS": "hooks", "OWN_TOKEN": secret.split(".")[1]}
    with (directory / "told.txt").open("wb") as told:
        return subprocess.Popen(
            [
                str(Path(sys.executable).parent / "schemathesis"), "--config-file", "schemathesis.toml", "run",
                "openapi.json", "--url", f"http://{HOST}:{port}", "-H", f"Authorization: Bearer {secret}",
                "--checks", "all", "--phases", phases, "--max-time", str(SECONDS), "--warnings", "off",
            ],
            cwd=directory, stdout=told, stderr=told, env={**site.environment, **hooks},
        )  # fmt: skip
