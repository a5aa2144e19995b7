"""schemathesis over the whole description: no 5xx, no breach of the schema, no way around the login.

The real server is asked, by a token that may do all. The gate makes up the same cases each time;
`FAULTS=long` goes on at random for as long as it is told. What was ever found is in tests/api/test_fuzz_corpus.py.
"""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from statestore.api.site import site as api
from tests.faults.scale import LONG
from tests.faults.server import HOST, serving
from tests.faults.sites import NAME, Site, SiteMaker

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]

# What the description names one by one and then chains of calls; and single calls of all kinds.
PHASES = ("examples,coverage,stateful", "fuzzing")
FIXED = ("--seed", "20261126", "--generation-deterministic", "--max-examples", "3")
AT_RANDOM = ("--max-time", "1800")
# What a description cannot say: which rows there are, what the domain refuses.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 304, 401, 403, 404, 409, 412, 422]
[checks.negative_data_rejection]
expected-statuses = ["4xx"]
"""
MAKE_SUPERUSER = "from django.contrib.auth.models import User; User.objects.update(is_superuser=True)"
HOOKS = """
import os
import schemathesis

# A serializer for a media type that the program does not know.
@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")

@schemathesis.hook
def filter_case(context, case):
    if case.operation.path.endswith("/tokens/{token_id}/revoke"):
        # Its own: everything after it would be refused.
        return (case.path_parameters or {}).get("token_id") != os.environ["OWN_TOKEN"]
    if case.operation.path.startswith("/agents/{agent_id}") and (case.query or {}).get("trash") is True:
        # To ask for the trash is to ask for what was deleted; tests/api/test_agents.py does.
        return False
    # As lines, any value is sent as text: to be no text is nothing that such a body can be.
    is_lines = case.media_type == "application/x-ndjson"
    return not (is_lines and isinstance(case.body, (bool, int, float, list, dict, type(None))))
"""


@pytest.mark.parametrize("phases", PHASES)
def test_the_api_keeps_what_its_description_says(make_site: SiteMaker, tmp_path: Path, phases: str):
    site = replace(make_site("wal"), settings="tests.faults.fuzzed_settings")
    site.manage("shell", "-v", "0", "-c", MAKE_SUPERUSER)
    secret = site.manage("token", "create", "fuzz", "--user", NAME, "--scopes", "read,write,restore,admin").strip()
    with serving(site) as server:
        status = _fuzz(site, server.port, secret, phases, tmp_path)
        log = server.log()
    told = (tmp_path / "told.txt").read_text()
    print("FUZZ", *re.findall(r"\d+ generated", told), *re.findall(r"Seed: \d+", told))
    assert status == 0, told[-6000:]
    assert "Traceback" not in log


def _fuzz(site: Site, port: int, secret: str, phases: str, directory: Path) -> int:
    """Let a program ask the server and leave in a directory what it has to tell; return its exit status."""
    (directory / "openapi.json").write_text(json.dumps(api.get_openapi_schema(path_prefix="/api/v1/")))
    (directory / "schemathesis.toml").write_text(CONFIGURATION)
    (directory / "hooks.py").write_text(HOOKS)
    hooks = {"SCHEMATHESIS_HOOKS": "hooks", "OWN_TOKEN": secret.split(".")[1]}
    with (directory / "told.txt").open("wb") as told:
        return subprocess.run(
            [
                str(Path(sys.executable).parent / "schemathesis"), "--config-file", "schemathesis.toml", "run",
                "openapi.json", "--url", f"http://{HOST}:{port}", "-H", f"Authorization: Bearer {secret}",
                "--checks", "all", "--phases", phases, "--warnings", "off", *(AT_RANDOM if LONG else FIXED),
            ],
            cwd=directory, stdout=told, stderr=told, env={**site.environment, **hooks}, check=False,
        ).returncode  # fmt: skip
