"""Recognises the variables that Kubernetes sets for each Service of a namespace."""

import ipaddress
import re
from collections.abc import Callable

_URL = re.compile(r"(?:tcp|udp|sctp)://(?:\[([0-9a-f:.]+)\]|([0-9.]+)):[0-9]{1,5}")
_NUMBER = re.compile(r"[0-9]{1,5}")
_PROTOCOL = re.compile(r"tcp|udp|sctp")


def is_service_link(variable: str, text: str) -> bool:
    """Tell whether Kubernetes sets the variable for a Service `agent-api` or `agent-api-...`.

    Both name and text must have the form that Kubernetes gives them, so AGENT_API_PORT is a link
    only if its text is a URL such as tcp://10.0.0.1:8000.
    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    return any(name.fullmatch(variable) and has_form(text) for name, has_form in _FORMS)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_url(text: str) -> bool:
    match = _URL.fullmatch(text)
    return match is not None and _is_address(match[1] or match[2])


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _is_protocol(text: str) -> bool:
    return _PROTOCOL.fullmatch(text) is not None


def _name(end: str) -> re.Pattern[str]:
    return re.compile(rf"AGENT_API(_[A-Z0-9_]+)?_{end}")


_PORT = "PORT_[0-9]+_(TCP|UDP|SCTP)"
_FORMS: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = (
    (_name("SERVICE_HOST"), _is_address),
    (_name("SERVICE_PORT(_[A-Z0-9_]+)?"), _is_number),
    (_name("PORT"), _is_url),
    (_name(_PORT), _is_url),
    (_name(f"{_PORT}_PROTO"), _is_protocol),
    (_name(f"{_PORT}_PORT"), _is_number),
    (_name(f"{_PORT}_ADDR"), _is_address),
)
