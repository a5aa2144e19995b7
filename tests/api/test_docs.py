"""The page of examples tells the truth: every one of them runs, in its order."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from statestore import models
from statestore.access import tokens

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "json-api.md").read_text()


@pytest.mark.one_store
@pytest.mark.django_db(transaction=True)
def test_every_example_runs(live_server: Any, tmp_path: Path):
    assert shutil.which("curl"), "curl is missing: apt-get install curl"
    user = User.objects.create_superuser("ada")
    _, secret = tokens.create(user, "docs", ["read", "write", "restore"])
    environment = {
        "API": f"{live_server.url}/api/v1",
        "TOKEN": secret,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    }
    examples = re.findall(r"```(sh|python)\n(.*?)```", PAGE, re.DOTALL)
    assert [kind for kind, _ in examples].count("sh") >= 6
    for kind, code in examples:
        command = ["bash", "-euo", "pipefail", "-c", code] if kind == "sh" else [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    assert models.Restore.objects.count() == 2
    assert models.Event.objects.filter(content="Done.").count() == 1
    assert '"end"' in (tmp_path / "export.ndjson").read_text().splitlines()[-1]


def test_every_call_that_the_page_names_exists(description: dict[str, Any]):
    for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[a-z{}/_-]+)`", PAGE):
        paths = {
            re.sub(r"{\w+}", "{id}", one.removeprefix("/api/v1")): calls for one, calls in description["paths"].items()
        }
        assert method.lower() in paths[path], path
