"""Copies of backups in another directory and in a bucket, read back and compared."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from statestore import backups
from statestore.errors import DatabaseError

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("filled")]


class Bucket(BaseHTTPRequestHandler):
    """As much of S3's protocol as one object needs: PUT and GET."""

    objects: dict[str, bytes]
    spoils = False

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.objects[self.path.partition("?")[0]] = body[:-1] + b"?" if self.spoils else body
        self.send_response(200)
        self.send_header("ETag", '"etag"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        body = self.objects.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.send_header("ETag", '"etag"')
        self.send_header("Last-Modified", "Fri, 27 Nov 2026 12:00:00 GMT")
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Bucket]]:
    handler = type("OneBucket", (Bucket,), {"objects": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_copy_in_another_directory_is_a_backup_of_its_own(tmp_path: Path):
    backup = backups.take(tmp_path / "made")
    place = backups.copy_to(backup, str(tmp_path / "elsewhere"))
    (copy,) = backups.newest_first(tmp_path / "elsewhere")
    assert str(copy.path) == place
    assert backups.verify(copy) == []
    assert copy.manifest == backup.manifest


def test_a_copy_that_cannot_be_made_is_told_and_the_backup_stays(tmp_path: Path):
    backup = backups.take(tmp_path / "made")
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match=rf"{backup.name} was not copied to .*/file/there"):
        backups.copy_to(backup, str(tmp_path / "file" / "there"))
    assert backups.verify(backup) == []


@pytest.mark.sqlite
def test_a_copy_in_a_bucket_has_each_file_and_the_manifest_last(tmp_path: Path, bucket: type[Bucket]):
    backup = backups.take(tmp_path, pack=True)
    assert backups.copy_to(backup, "s3://backups/agents") == f"s3://backups/agents/{backup.name}"
    names = [path.rpartition("/")[2] for path in bucket.objects]
    assert names == [*(file.name for file in backup.manifest.files), "manifest.json"]
    stored = {path.rpartition("/")[2]: body for path, body in bucket.objects.items()}
    assert all(stored[name] == (backup.path / name).read_bytes() for name in names)


@pytest.mark.sqlite
def test_a_bucket_that_stores_something_else_is_found_out(tmp_path: Path, bucket: type[Bucket]):
    bucket.spoils = True
    backup = backups.take(tmp_path, pack=True)
    with pytest.raises(DatabaseError, match=r"The copy of store\.db\.zst in s3://backups differs"):
        backups.copy_to(backup, "s3://backups")
    assert not any(path.endswith("manifest.json") for path in bucket.objects)


def test_the_command_copies_and_says_so(tmp_path: Path):
    out = StringIO()
    call_command("backup", to=tmp_path / "made", copy_to=str(tmp_path / "elsewhere"), stdout=out)
    assert f"Copied to {tmp_path / 'elsewhere'}" in out.getvalue()
