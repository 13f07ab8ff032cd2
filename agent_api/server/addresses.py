"""The addresses that a server listens on: their URLs, and whether it can listen there."""

import socket
from collections.abc import Callable
from typing import Any, TypeVar

from agent_api.settings import ConfigError, Settings

Listener = TypeVar("Listener")


def base_url(host: str, port: int) -> str:
    """Return the URL of an address that a server listens on."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def check_free(settings: Settings) -> None:
    """Raise ConfigError if the address is in use, before the database starts."""
    options = "--host and --port, or AGENT_API_HOST and AGENT_API_PORT"
    listen(_probe, settings.host, settings.port, purpose="listen", options=options)


def _probe(family: int, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def listen(
    listener: Callable[[int, Any], Listener], host: str, port: int, *, purpose: str, options: str
) -> Listener:
    """Call `listener` with the address family and socket address of `host`.

    Raises ConfigError if it cannot listen; `options` name the settings that choose another address.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return listener(family, address)
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
        reason = getattr(error, "strerror", None) or "not a valid host name"
        raise ConfigError(
            f"Cannot {purpose} on {host} port {port}: {reason}. Choose another with {options}."
        ) from error
