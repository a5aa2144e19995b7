"""schemathesis over the whole description: no 5xx, no breach of the schema, no way around the login.

The real server is asked, by a token that may do all. `FAULTS=long` fuzzes for longer than CI has time.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from statestore.api.site import site as api
from tests.faults.scale import times
from tests.faults.server import HOST, serving
from tests.faults.sites import NAME, SiteMaker

pytestmark = [pytest.mark.faults, pytest.mark.sqlite]

SECONDS = times(100, 1_800)
# What a description cannot say: which rows there are, what the domain refuses.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 304, 401, 403, 404, 409, 412, 422]
[checks.negative_data_rejection]
expected-statuses = ["4xx"]
"""
MAKE_SUPERUSER = "from django.contrib.auth.models import User; User.objects.update(is_superuser=True)"
# Serializers for media types that the program does not know.
HOOKS = """
import json
import schemathesis

@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
"""


def test_the_api_keeps_what_its_description_says(make_site: SiteMaker, tmp_path: Path):
    site = make_site("wal")
    site.manage(
        "shell", "-v", "0", "-c", "from django.contrib.auth.models import User; User.objects.update(is_superuser=True)"
    )
    secret = site.manage("token", "create", "fuzz", "--user", NAME, "--scopes", "read,write,restore,admin").strip()
    (tmp_path / "openapi.json").write_text(json.dumps(api.get_openapi_schema(path_prefix="/api/v1/")))
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    (tmp_path / "hooks.py").write_text(HOOKS)
    with serving(site) as server:
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "schemathesis"), "--config-file", "schemathesis.toml", "run",
                "openapi.json", "--url", f"http://{HOST}:{server.port}", "-H", f"Authorization: Bearer {secret}",
                "--checks", "all", "--max-time", str(SECONDS), "--warnings", "off",
            ],
            cwd=tmp_path, capture_output=True, text=True, env={**site.environment, "SCHEMATHESIS_HOOKS": "hooks"},
        )  # fmt: skip
        log = server.log()
    print("FUZZ", *[line.strip() for line in done.stdout.splitlines() if "generated" in line or "Seed" in line])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Traceback" not in log
