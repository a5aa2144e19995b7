"""A read replica behind a pooler, by TLS, and one that really lags."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from descartes_site.postgres_cluster import STORE, Cluster
from tests.db.test_pgbouncer import PORT, needs_pgbouncer, running
from tests.deployed.nginx import free_ports
from tests.faults.server import Server, Visitor, serving
from tests.replication.conftest import Client, Pair, ReplicatedSite, made_clients, made_pair, made_site
from tests.waiting import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.slow]

_ENCRYPTED: Final = (
    "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND datname = 'descartes'"
)
_PLAIN: Final = _ENCRYPTED.replace("WHERE ssl", "WHERE NOT ssl AND client_addr IS NOT NULL")


def readiness(server: Server) -> str:
    with Visitor(server.port) as visitor:
        answer = visitor.get("/readyz")
    assert answer.status == 200, answer
    return answer.text


def assert_others_read_the_replica(pair: Pair, writer: Client, reader: Client, agent_id: str) -> None:
    """Check that the writer reads the primary, and others the replica, which stays where it is meanwhile."""
    writer.save("known")
    wait_for(lambda: reader.sees("known"), "the replica")
    with pair.paused():
        writer.save(agent_id)
        assert writer.sees(agent_id), "the writer reads the primary"
        wait_for(lambda: not reader.sees(agent_id), "reads of others from the replica, which is paused")
    wait_for(lambda: reader.sees(agent_id), "the replica, which goes on")


@needs_pgbouncer
def test_poolers_of_transactions_in_front_of_both_change_nothing(pair: Pair, site: ReplicatedSite):
    with running(pair.primary) as primary, running(pair.standby) as standby:
        url = f"{primary.url(STORE)}&replica={quote(str(standby.home), safe='')}:{PORT}"
        pooled = replace(site, url=url)
        with serving(pooled) as server:
            writer, reader = made_clients(pooled, server)
            assert_others_read_the_replica(pair, writer, reader, "behind-poolers")
            assert "note" not in readiness(server)
            with Visitor(server.port) as person:
                person.sign_in()
                pages = {path: person.get(path).status for path in ("/", "/agents/", "/events/?q=x", "/sessions/")}
            assert set(pages.values()) == {200}, pages


def certified(directory: Path, name: str) -> dict[str, Path]:
    """Make a certificate of a name that is its own authority, with the key where the server's user can read it."""
    made = {"certificate": directory / f"{name}.crt", "key": directory / f"{name}.key"}
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", made["key"], "-out",
            made["certificate"],
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


def restarted(cluster: Cluster, port: int, files: dict[str, Path]) -> None:
    """Start a server again, by TLS on a port of this machine."""
    cluster.stop()
    kept = {what: cluster.home / "data" / path.name for what, path in files.items()}
    for what, path in files.items():
        shutil.copy(path, kept[what])
        shutil.chown(kept[what], cluster.home.owner())
        kept[what].chmod(0o600)
    cluster.start(
        "listen_addresses=127.0.0.1", f"port={port}", "ssl=on", f"ssl_cert_file={kept['certificate']}",
        f"ssl_key_file={kept['key']}",
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("openssl") is None, reason="NOT TESTED: OPENSSL IS NOT INSTALLED")
def test_a_replica_is_reached_by_tls_and_one_that_cannot_prove_its_name_is_not_read(tmp_path: Path):
    files = {name: certified(tmp_path, name) for name in ("ours", "theirs")}
    ports = free_ports(2)
    with made_pair() as pair:
        site = made_site(pair, tmp_path)
        # The name of a socket has the port in it, by which the replica follows its primary.
        pair.standby.run(
            "psql", "-h", pair.standby.home, "-U", "postgres", "-c",
            f"ALTER SYSTEM SET primary_conninfo = 'host={pair.primary.home} port={ports[0]} user=postgres'",
        )  # fmt: skip
        for cluster, port in zip((pair.primary, pair.standby), ports, strict=True):
            restarted(cluster, port, files["ours"])
        root = quote(str(files["ours"]["certificate"]), safe="")
        url = (
            f"postgres://postgres@localhost:{ports[0]}/{STORE}?sslmode=verify-full&sslrootcert={root}"
            f"&replica=localhost:{ports[1]}"
        )
        with serving(replace(site, url=url)) as server:
            writer, reader = made_clients(replace(site, url=url), server)
            writer.save("known")
            wait_for(lambda: reader.sees("known"), "the replica")
            wait_for(lambda: "note" not in readiness(server), "both servers")
            for cluster, port in zip((pair.primary, pair.standby), ports, strict=True):
                place = ("-h", cluster.home, "-p", port, "-U", "postgres", "-d", STORE, "-Atc")
                counts = [int(cluster.run("psql", *place, sql)) for sql in (_ENCRYPTED, _PLAIN)]
                assert counts[0] > 0, "This server is used."
                assert counts[1] == 0, "No connection is without TLS."
            restarted(pair.standby, ports[1], files["theirs"])
            assert reader.sees("known"), "the primary stands in"
            wait_for(lambda: "The replica does not answer. Pages read the primary." in readiness(server), "readiness")


def test_a_replica_that_lags_is_not_read_until_it_has_caught_up(pair: Pair, site: ReplicatedSite):
    """It applies what it has received two minutes later: a lag as of a replica that cannot keep up, or is paused."""
    impatient = {**site.environment, "REPLICA_MAX_LAG_SECONDS": "1"}
    with serving(site, environment=impatient) as server:
        writer, reader = made_clients(site, server)
        writer.save("known")
        wait_for(lambda: reader.sees("known"), "the replica")
        pair.catch_up()
        pair.standby.execute(STORE, "ALTER SYSTEM SET recovery_min_apply_delay = '2min'")
        pair.standby.execute(STORE, "SELECT pg_reload_conf()")
        try:
            wait_for(lambda: pair.standby.execute(STORE, "SHOW recovery_min_apply_delay") == "2min", "the setting")
            writer.save("late")
            wait_for(lambda: "behind, more than REPLICA_MAX_LAG_SECONDS=1 allows" in readiness(server), "readiness")
            assert reader.sees("late"), "Pages read the primary."
            with Visitor(server.port) as person:
                home = person.sign_in().get("/").text
                assert person.get("/agents/late/").status == 200
            assert "behind, more than REPLICA_MAX_LAG_SECONDS=1 allows. Pages read the primary." in home
            assert pair.standby.execute(STORE, "SELECT count(*) FROM agent_states WHERE agent_id = 'late'") == "0", (
                "the canary: the replica does not have it"
            )
        finally:
            pair.standby.execute(STORE, "ALTER SYSTEM RESET recovery_min_apply_delay")
            pair.standby.execute(STORE, "SELECT pg_reload_conf()")
        wait_for(lambda: "note" not in readiness(server), "the replica, which has caught up")
