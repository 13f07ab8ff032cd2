"""Runs nginx and HAProxy with the files in deploy/, in front of nodes on this machine."""

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.authority import identity_of
from tests.processes import wait_until
from tests.programs import installed
from tests.servers import Server, free_port

FILES = {"nginx": "deploy/nginx/agent-api.conf", "haproxy": "deploy/haproxy/haproxy.cfg"}
PACKAGES = {"nginx": "nginx-light", "haproxy": "haproxy"}
HOST = "chat.example.org"
NODES = ("10.0.0.21:8000", "10.0.0.22:8000")
NGINX = """\
daemon off;
pid {folder}/nginx.pid;
{user}
worker_processes 2;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/responses;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    access_log {folder}/other.log;
    error_log {folder}/other-errors.log;
    gzip on;
    include {folder}/agent-api.conf;
}}
"""
"""The main file. Like Debian's, it compresses responses."""

Changes = Mapping[str, str]
"""Texts in a file, and what replaces them."""


@dataclass(frozen=True)
class Proxy(Server):
    """A running proxy. It listens at `url` without TLS, as no file in deploy/ does."""

    folder: Path
    tls_port: int
    trusted: Path
    """The certificate that clients with TLS must trust, for HOST."""

    def logs(self) -> str:
        """Return everything that the proxy has logged."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


def replaced(text: str, changes: Changes) -> str:
    """Return `text` with the changes; each text must be there exactly once."""
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    return text


@contextmanager
def start_proxy(
    name: str, nodes: Iterable[Server], folder: Path, changes: Changes | None = None
) -> Iterator[Proxy]:
    """Check the file of `name`, and start the proxy in front of two nodes.

    `changes` come before those that every test needs: addresses, paths and users.
    """
    program = installed(name, f"apt-get install {PACKAGES[name]}")
    identity = identity_of(HOST, folder)
    plain, tls = free_port(), free_port()
    text = replaced(Path(FILES[name]).read_text("utf-8"), changes or {})
    addresses = {old: urlsplit(new.url).netloc for old, new in zip(NODES, nodes, strict=True)}
    configure = {"nginx": _configure_nginx, "haproxy": _configure_haproxy}[name]
    arguments, check = configure(replaced(text, addresses), folder, plain, tls)
    _check(program, *arguments, check)
    log = folder / "output.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        proxy = Proxy(f"http://127.0.0.1:{plain}", process, log, folder, tls, identity.trusted)
        wait_until(lambda: _answers(proxy))
        yield proxy
    finally:
        process.terminate()
        process.wait(30)


def _configure_nginx(text: str, folder: Path, plain: int, tls: int) -> tuple[list[str], str]:
    """Write the files; return the arguments to run nginx, and the one that checks them."""
    changes = {
        "listen 443 ssl http2;": f"listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl http2;",
        f"/etc/ssl/{HOST}.pem": f"{folder}/shown.pem",
        f"/etc/ssl/{HOST}.key": f"{folder}/shown.pem",
        "/var/log/nginx/agent-api.log": f"{folder}/requests.log",
        "/var/log/nginx/agent-api-error.log": f"{folder}/errors.log",
    }
    (folder / "agent-api.conf").write_text(replaced(text, changes))
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user=user))
    return ["-c", f"{folder}/nginx.conf", "-e", f"{folder}/other-errors.log"], "-t"


def _configure_haproxy(text: str, folder: Path, plain: int, tls: int) -> tuple[list[str], str]:
    """Write the file; return the arguments to run HAProxy, and the one that checks them."""
    options = f"ssl crt {folder}/shown.pem alpn h2,http/1.1"
    changes = {
        f"bind :443 ssl crt /etc/haproxy/{HOST}.pem alpn h2,http/1.1": (
            f"bind 127.0.0.1:{plain}\n    bind 127.0.0.1:{tls} {options}"
        ),
        "    user haproxy\n    group haproxy\n    chroot /var/lib/haproxy\n": "",
        "log /dev/log local0": "log stdout format raw local0",
        "maxconn 20000": "maxconn 500",  # an ordinary user may not open more files
    }
    (folder / "haproxy.cfg").write_text(replaced(text, changes))
    return ["-db", "-f", f"{folder}/haproxy.cfg"], "-c"


def _check(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    assert "warn" not in said.lower(), said


def _answers(proxy: Proxy) -> bool:
    """Return whether the proxy responds, whatever it says about its nodes."""
    assert proxy.process.poll() is None, proxy.logs()
    try:
        httpx.get(proxy.url, verify=False, timeout=5)
    except httpx.TransportError:
        return False
    return True
