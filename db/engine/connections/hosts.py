"""Connects to one of the hosts of a database URL.

libpq's asynchronous connections look names up while the event loop waits, and have no timeouts.
Therefore names are looked up here, and each address gets its own attempt and its own timeout.
"""

import ipaddress
import math
import random
import socket
import time
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_WRITE

from db.engine import bridge

Parameters = dict[str, Any]


def connect(parameters: Parameters) -> Any:
    """Return psycopg2's asynchronous connection to the first host that accepts it.

    `parameters` are libpq's, and `connect_timeout` applies to each address.
    Raises OperationalError with the reasons of all hosts.
    """
    return _first(_connect_to_host, _hosts(parameters))


def _connect_to_host(host: Parameters) -> Any:
    return _first(_connect, _addresses(host))


def _first(attempt: Callable[[Parameters], Any], choices: list[Parameters]) -> Any:
    """Return the first success. Raises OperationalError with the reasons of all failures."""
    reasons: list[str] = []
    for parameters in choices:
        try:
            return attempt(parameters)
        except psycopg2.Error as error:
            reasons.append(str(error).strip())
    raise psycopg2.OperationalError("\n".join(reasons))


def _hosts(parameters: Parameters) -> list[Parameters]:
    """Return the parameters once for each host, in the order in which to try them."""
    lists = {
        name: str(parameters[name]).split(",")
        for name in ("host", "hostaddr", "port")
        if parameters.get(name)
    }
    count = max(map(len, lists.values()), default=1)
    hosts = [
        parameters
        | {name: values[number if len(values) > 1 else 0] for name, values in lists.items()}
        for number in range(count)
    ]
    if parameters.get("load_balance_hosts") == "random":
        random.shuffle(hosts)
    if parameters.get("target_session_attrs") == "prefer-standby":
        wanted = ("standby", "any")
        return [host | {"target_session_attrs": kind} for kind in wanted for host in hosts]
    return hosts


def _addresses(host: Parameters) -> list[Parameters]:
    """Return the host's parameters once for each of its addresses. Raises OperationalError."""
    name = host.get("host")
    if host.get("hostaddr") or not name or name.startswith(("/", "@")) or _is_address(name):
        return [host]
    try:
        found = bridge.in_thread(socket.getaddrinfo, name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise psycopg2.OperationalError(
            f'could not translate host name "{name}" to address: {error.strerror}'
        ) from error
    return [host | {"hostaddr": address} for address in dict.fromkeys(a[4][0] for a in found)]


def _is_address(name: str) -> bool:
    """Return whether the name needs no look-up."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _seconds(timeout: str) -> int:
    """Return the timeout as libpq reads it. Raises OperationalError."""
    try:
        return int(timeout)
    except ValueError as error:
        raise psycopg2.OperationalError(
            f'invalid integer value "{timeout}" for connection option "connect_timeout"'
        ) from error


def _connect(parameters: Parameters) -> Any:
    seconds = _seconds(str(parameters["connect_timeout"]))
    until = time.monotonic() + seconds if seconds > 0 else math.inf  # as libpq
    connection = psycopg2.connect(**parameters, async_=1)
    try:
        while (state := connection.poll()) != POLL_OK:
            bridge.wait_for_socket(connection.fileno(), writable=state == POLL_WRITE, until=until)
    except BaseException as error:
        connection.close()
        if isinstance(error, TimeoutError):
            raise psycopg2.OperationalError("timeout expired") from error
        raise
    return connection
