"""The machines of docs/operations/high-availability.md, set up with the files on that page."""

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from db.embedded.folders import choose_account
from tests.failover.machines import ENVIRONMENT, Machine, Switch, find_obstacle
from tests.guide import blocks, section
from tests.servers import agent_api

CREATE = Path(__file__).parents[2] / "deploy/postgresql/create.sql"
DATABASES = {"db1": "10.0.0.11", "db2": "10.0.0.12", "db3": "10.0.0.13"}
APIS = {"api1": "10.0.0.21", "api2": "10.0.0.22"}
PATRONI = "/etc/patroni/config.yml"
DATABASE_SERVICES = {
    "etcd": "set -a; . /etc/default/etcd; ETCD_DATA_DIR=/var/lib/etcd/default exec etcd",
    "patroni": f"exec patroni {PATRONI}",
}
API_SERVICES = {
    "haproxy": "exec haproxy -f /etc/haproxy/haproxy.cfg",
    "pgbouncer": "exec pgbouncer /etc/pgbouncer/pgbouncer.ini",
}
PROGRAMS = ("patroni", "etcd", "haproxy", "pgbouncer", "psql", "ip", "nsenter", "setpriv")
INSTALL = "apt-get install postgresql patroni etcd-server haproxy pgbouncer iproute2"
FILE = re.compile(r"^`(/\S+)`[^\n]*:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
"""A path on the page, followed by a block with the file's text."""
OLDEST_POSTGRESQL = 15
SECONDS_TO_HEAL = 100


def skip_unless_possible() -> None:
    """Skip the test with a reason if this host cannot run the cluster."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=ENVIRONMENT["PATH"])]
    if not _postgresql_versions():
        missing.append("PostgreSQL 15 or newer")
    if missing:
        # Not every machine can install Debian's packages; .ci/run does if it runs as root.
        pytest.skip(f"{', '.join(missing)} is missing: {INSTALL}")
    obstacle = find_obstacle()
    if obstacle:
        # Containers often forbid namespaces, without which machines cannot be cut off.
        pytest.skip(obstacle)


class Cluster:
    """Three machines with PostgreSQL, Patroni and etcd, two with HAProxy and PgBouncer."""

    def __init__(self, folder: Path) -> None:
        account = choose_account(folder)
        self._switch = Switch()
        self.databases = [
            Machine(self._switch, name, address, folder / name, account)
            for name, address in DATABASES.items()
        ]
        self.apis = [
            Machine(self._switch, name, address, folder / name, account)
            for name, address in APIS.items()
        ]

    def start(self) -> None:
        """Follow the page from the first file to the first migration."""
        for machine in self.databases:
            _write_files(machine, "Set up the database machines")
            machine.services = DATABASE_SERVICES
            machine.start()
        for machine in self.apis:
            _write_files(machine, "Set up the API machines")
            machine.services = API_SERVICES
            machine.start()
        self.wait_until_healthy()
        self.leader().run(
            *("psql", "-v", "ON_ERROR_STOP=1", "-h", self.leader().address, "-U", "postgres"),
            text=CREATE.read_text(),
            PGPASSWORD="superuser-password",
            DATABASE_PASSWORD="api-password",
        )
        migrated = agent_api("migrate", database_url=database_url(self.apis[0]))
        assert migrated.returncode == 0, migrated.stderr

    def end(self) -> None:
        """Kill all machines."""
        for machine in (*self.databases, *self.apis):
            machine.kill()
        self._switch.end()

    def patronictl(self, *arguments: str) -> str:
        """Run patronictl on a machine that the others can reach."""
        machine = next(machine for machine in self.databases if machine.connected)
        return machine.run("patronictl", "-c", PATRONI, *arguments)

    def members(self) -> list[dict[str, Any]]:
        """Return the database machines as Patroni knows them."""
        found: list[dict[str, Any]] = json.loads(self.patronictl("list", "--format", "json"))
        return found

    def leader(self) -> Machine:
        return self.find("Leader")

    def find(self, role: str) -> Machine:
        """Return the only database machine with this role."""
        (name,) = (each["Member"] for each in self.members() if each["Role"] == role)
        return next(machine for machine in self.databases if machine.name == name)

    def wait_until_healthy(self) -> None:
        """Wait until there is a leader, a synchronous standby and another standby."""
        deadline = time.monotonic() + SECONDS_TO_HEAL
        while not _is_healthy(members := self._try_members()):
            assert time.monotonic() < deadline, f"{members}\n{self._logs()}"
            time.sleep(0.5)

    def _try_members(self) -> list[dict[str, Any]]:
        try:
            return self.members()
        except AssertionError:  # etcd does not answer yet
            return []

    def _logs(self) -> str:
        return "\n".join(
            f"--- {machine.name} {name}\n{machine.log(name)[-2000:]}"
            for machine in self.databases
            for name in machine.services
        )


def _is_healthy(members: list[dict[str, Any]]) -> bool:
    return (
        sorted(each["Role"] for each in members) == ["Leader", "Replica", "Sync Standby"]
        and {each["State"] for each in members} <= {"running", "streaming"}
        and len({each.get("TL") for each in members}) == 1
    )


def database_url(api: Machine) -> str:
    """Return the documented URL, with the place of the socket on this host."""
    socket = str(api.path("/run/postgresql"))
    return _config("sh", r"AGENT_API_DATABASE_URL=(.*)").replace("/run/postgresql", socket)


def leader_url(machine: Machine) -> str:
    """Return the URL with which a program on a database machine reaches its PostgreSQL."""
    socket = machine.path("/run/postgresql")
    return f"postgresql://agent_api:api-password@/agent_api?host={socket}"


def _write_files(machine: Machine, title: str) -> None:
    """Write the files of this section of the page, with the values of the machine."""
    files = FILE.findall(section(title))
    assert files
    for path, text in files:
        own = re.sub(r"\bNAME\b", machine.name, text).replace("ADDRESS", machine.address)
        machine.write(path, _fill(own))


def _config(kind: str, pattern: str) -> str:
    """Return the only match of the pattern in the page's blocks of this kind."""
    text = "".join(blocks(kind, section("High availability")))
    (found,) = re.findall(pattern, text)
    return _fill(found)


def _fill(text: str) -> str:
    """Replace the passwords, and the version of PostgreSQL with one that is installed."""
    text = text.replace("/15/", f"/{_postgresql_versions()[0]}/")
    return re.sub(r"[A-Z]+-PASSWORD", lambda name: name[0].lower(), text)


def _postgresql_versions() -> list[int]:
    """Return the major versions of which Debian's packages have installed a server."""
    programs = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    found = [int(program.parts[-3]) for program in programs]
    return sorted(version for version in found if version >= OLDEST_POSTGRESQL)


@contextmanager
def new_cluster() -> Iterator[Cluster]:
    """Yield a running cluster, and kill it after the block."""
    with tempfile.TemporaryDirectory(prefix="agent-api-cluster-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster = Cluster(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.end()
