"""The address that a server of ours is to listen on, as an operator gave it."""

import socket
from collections.abc import Callable
from typing import Any, TypeVar

from agent_api.settings import ConfigError

T = TypeVar("T")


def listen(
    open_door: Callable[[int, Any], T], host: str, port: int, *, purpose: str, options: str
) -> T:
    """Return what `open_door` makes of the address family and the socket address of `host`.

    Raises ConfigError where there is no such address, or it cannot be listened on: it says for
    which `purpose`, and which `options` choose another.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return open_door(family, address)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label that is no host name
        reason = getattr(error, "strerror", None) or "it is no host name"
        raise ConfigError(
            f"Cannot {purpose} on {host} port {port}: {reason}. Choose another with {options}."
        ) from error
