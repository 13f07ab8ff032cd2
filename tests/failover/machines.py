"""Machines on one host: each has its own network, processes and system folders.

A machine is a set of Linux namespaces. Its first process is a shell; when it is killed, the kernel
kills all others. It also ends when its standard input is closed, so no machine outlives the tests.
"""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from db.embedded.folders import Account

ENVIRONMENT = {
    "HOME": "/var/lib/postgresql",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
FOLDERS = (
    *("/etc/default", "/etc/haproxy", "/etc/patroni", "/etc/pgbouncer"),
    *("/run", "/var/lib/etcd", "/var/lib/postgresql"),
)
"""The folders that each machine has for itself, as Debian's packages create them."""
# Without root, a user namespace gives the rights to create the others.
UNSHARE = ["unshare"] if os.geteuid() == 0 else ["unshare", "--user", "--map-current-user"]
UNSHARE += [] if os.geteuid() == 0 else ["--keep-caps"]
MACHINE = [*UNSHARE, "--net", "--mount-proc", "--pid", "--fork", "--kill-child"]
SECONDS_TO_RUN = 60


def find_obstacle() -> str | None:
    """Return why this host cannot have machines, or None."""
    missing = [folder for folder in FOLDERS if not Path(folder).is_dir()]
    if missing:
        return f"{', '.join(missing)} is missing"
    script = "ip link add switch type bridge && mount --bind /run /var/lib/postgresql"
    result = subprocess.run(
        [*MACHINE, "sh", "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    return None if result.returncode == 0 else f"no namespaces: {result.stderr.strip()}"


class Switch:
    """The network that connects the machines."""

    def __init__(self) -> None:
        self._shell = subprocess.Popen(
            [*UNSHARE, "--net", "sh"],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.run("ip link add switch type bridge && ip link set switch up")

    @property
    def enter(self) -> list[str]:
        """The beginning of a command that runs where machines can be connected."""
        return _enter(self._shell.pid, "net")

    def run(self, command: str) -> None:
        """Run a shell command that changes the network."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"({command}) && echo done || echo failed\n")
        self._shell.stdin.flush()
        assert self._shell.stdout.readline() == "done\n", command

    def end(self) -> None:
        self._shell.communicate(timeout=SECONDS_TO_RUN)


class Machine:
    """A machine with one network interface, off until `start`."""

    def __init__(
        self, switch: Switch, name: str, address: str, folder: Path, account: Account
    ) -> None:
        self.name = name
        self.address = address
        self.folder = folder
        self.services: Mapping[str, str] = {}
        self.connected = False
        self._switch = switch
        self._account = account
        self._process: subprocess.Popen[str] | None = None
        for path in (*FOLDERS, "/run/postgresql"):
            self.path(path).mkdir(parents=True)
            self._give(self.path(path))

    def path(self, path: str) -> Path:
        """Return where a path of the machine is on the host."""
        return self.folder / path.lstrip("/")

    def write(self, path: str, text: str) -> None:
        """Write a file that only the services of the machine may read."""
        self.path(path).write_text(text)
        self.path(path).chmod(0o600)
        self._give(self.path(path))

    def start(self) -> None:
        """Start the machine with its services, each in a shell command of its own."""
        with (self.folder / "machine.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._switch.enter, *MACHINE, "sh", "-euc", self._script()],
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "started\n", self.log("machine")
        self._switch.run(
            f"ip link add {self.name} type veth peer name eth0 netns {self._process.pid}"
            f" && ip link set {self.name} up master switch"
        )
        self._process.stdin.write("connected\n")
        self._process.stdin.flush()
        self.connected = True

    def _script(self) -> str:
        lines = ["echo started", "read -r _", "ip link set lo up"]
        lines += [f"ip address add {self.address}/24 dev eth0", "ip link set eth0 up"]
        for path in FOLDERS:
            lines.append(f"mount --bind {shlex.quote(str(self.path(path)))} {path}")
        for name, command in self.services.items():
            log = shlex.quote(str(self.folder / f"{name}.log"))
            lines.append(f"{shlex.join([*self._user(), 'sh', '-c', command])} >>{log} 2>&1 &")
        # Waiting for cat, which reads to the end of the input, also reaps orphaned processes.
        lines += ["exec 3<&0", "cat <&3 >/dev/null &", "wait $!"]
        return "\n".join(lines)

    def _user(self) -> list[str]:
        if not self._account.switch:
            return []
        ids = [f"--reuid={self._account.uid}", f"--regid={self._account.gid}"]
        return ["setpriv", *ids, "--clear-groups"]

    def run(self, *command: str, text: str = "", **environment: str) -> str:
        """Run a command on the machine to its end, with `text` as its input."""
        assert self._process is not None
        result = subprocess.run(
            [*_enter(self._process.pid, "net", "mnt"), *self._user(), *command],
            cwd="/",
            env=ENVIRONMENT | environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_TO_RUN,
        )
        assert result.returncode == 0, f"{command} failed: {result.stdout}{result.stderr}"
        return result.stdout

    def kill(self) -> None:
        """Kill all processes at once, and wait for their end; their peers notice only silence."""
        if self._process is None:
            return
        self._switch.run(f"ip link delete {self.name} 2>/dev/null || true")
        for first in psutil.Process(self._process.pid).children():
            first.kill()
        self._process.communicate(timeout=SECONDS_TO_RUN)
        self._process = None
        self.connected = False

    def cut_off(self) -> None:
        """Let the network drop all packets from and to the machine, without a sign of it."""
        self._switch.run(f"ip link set {self.name} nomaster")
        self.connected = False

    def reconnect(self) -> None:
        """Undo `cut_off`."""
        self._switch.run(f"ip link set {self.name} master switch")
        self.connected = True

    def log(self, service: str) -> str:
        """Return what the service has logged."""
        path = self.folder / f"{service}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _give(self, path: Path) -> None:
        if self._account.switch:
            os.chown(path, self._account.uid, self._account.gid)


def _enter(process: int, *namespaces: str) -> list[str]:
    kinds = namespaces if os.geteuid() == 0 else ("user", *namespaces)
    options = [f"--{_LONG.get(kind, kind)}=/proc/{process}/ns/{kind}" for kind in kinds]
    return ["nsenter", *options, *([] if os.geteuid() == 0 else ["--preserve-credentials"])]


_LONG = {"mnt": "mount"}
