"""Checks the settings: whether the server accepts them, and which are unsafe in production."""

from typing import Any, NamedTuple

from agent_api.doctor.finding import Finding, count, error, ok, warning
from agent_api.settings import ConfigError, Settings, usable_environment


class Reading(NamedTuple):
    """The settings, as far as they can be read."""

    settings: Settings | None
    refused: list[str]
    """The variables that are unusable; the settings are without them."""
    findings: list[Finding]


def read(**options: Any) -> Reading:
    """Read the settings. `options` are those of the command line."""
    environ, refused = usable_environment()
    findings = [_refused(message) for message in refused.values()]
    try:
        settings = Settings.load(environ, needs_key=not refused, **options)
    except ConfigError as refusal:
        if not refused:  # otherwise it may be about a setting that was left out
            findings.append(_refused(str(refusal)))
    else:
        if not refused:
            names = [name for name in environ if name.startswith("AGENT_API_")]
            findings.append(ok("settings", ", ".join(names) or "none is set: all have defaults"))
        return Reading(settings, list(refused), findings)
    try:  # perhaps only the key is missing
        return Reading(Settings.load(environ, needs_key=False, **options), list(refused), findings)
    except ConfigError:  # reported above, or about a setting that was left out
        return Reading(None, list(refused), findings)


def _refused(message: str) -> Finding:
    return error("settings", message, "The server does not start. See the page Configuration.")


def check(settings: Settings) -> list[Finding]:
    """Return what is unsafe in production."""
    findings = []
    if settings.cors_origins == ("*",):
        findings.append(
            warning(
                "cors",
                "AGENT_API_CORS_ORIGINS is *: every web page may call the API",
                "List the origins of your front ends.",
            )
        )
    else:
        origins = count(len(settings.cors_origins), "other origin")
        findings.append(ok("cors", f"web pages of {origins} may call the API"))
    if (settings.link_url or "").startswith("http://"):
        findings.append(
            warning(
                "links",
                "AGENT_API_LINK_URL begins with http://, so the secrets of public links can be read"
                " on their way",
                "Publish the page of links with https.",
            )
        )
    return findings
