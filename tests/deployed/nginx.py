"""Debian's nginx, with a configuration of its own, on ports of this machine; and a self-signed certificate."""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import HANG_SECONDS, wait_for

HOST = "127.0.0.1"
BINARY = shutil.which("nginx") or "/usr/sbin/nginx"
IS_INSTALLED = os.access(BINARY, os.X_OK) and shutil.which("openssl") is not None

# Its own directories for all that it writes: it runs as any user. A user is named by root alone, for the directories
# of the tests are closed to others.
_MAIN = """\
{user}daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {home}/bodies;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  client_max_body_size 0;
{servers}
}}
"""


def free_ports(number: int) -> list[int]:
    """Return ports that are free, each another one."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


@contextmanager
def running(home: Path, servers: str, ports: list[int]) -> Iterator[None]:
    """Run nginx with these `server` blocks, which listen on these ports, until the end of the block."""
    home.mkdir(parents=True)
    user = "user root;\n" if os.geteuid() == 0 else ""
    configuration = home / "nginx.conf"
    configuration.write_text(_MAIN.format(user=user, home=home, servers=servers))
    log = home / "error.log"
    command = [BINARY, "-p", str(home), "-c", str(configuration), "-e", str(log)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: all(map(_accepts, ports)), "nginx", is_alive=lambda: process.poll() is None)
        yield
    except AssertionError as error:
        error.add_note(log.read_text() if log.exists() else "nginx wrote no log")
        raise
    finally:
        process.terminate()
        process.wait(timeout=HANG_SECONDS)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port)).close()
    except OSError:
        return False
    return True


def make_certificate(home: Path) -> tuple[Path, Path]:
    """Return a certificate for localhost, signed by itself, and its key."""
    home.mkdir(parents=True, exist_ok=True)
    certificate, key = home / "certificate.pem", home / "key.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout", str(key), "-out", str(certificate),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def trusting(certificate: Path) -> ssl.SSLContext:
    """Return what a client needs to trust a certificate that is signed by itself."""
    return ssl.create_default_context(cafile=str(certificate))
