"""Configures the log: its output, its format, and the request ids in each line."""

import logging
from collections.abc import Sequence
from typing import Any

from pythonjsonlogger.core import LogData
from pythonjsonlogger.orjson import OrjsonFormatter

from agent_api.http.request_context import request_ids
from agent_api.observability.output import LAST_SECONDS, OUTPUT, LogOutput
from agent_api.observability.uncaught import log_uncaught
from agent_api.settings import Settings, log_format

_PLAIN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class RequestIdFilter(logging.Filter):
    """Adds the ids of the current request and its trace to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the ids, and keep every record."""
        if (ids := request_ids.get()) is not None:
            vars(record).update(ids)
        return True


class TextFormatter(logging.Formatter):
    """Formats records for people: time, level, message, and fields as name=value."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging calls this name
        """Append the fields of `extra=`."""
        fields = (f"{k}={v}" for k, v in vars(record).items() if k not in _PLAIN_FIELDS)
        return " ".join([super().formatMessage(record), *fields])


class JsonFormatter(OrjsonFormatter):
    """Formats records as JSON, also those that quote bytes which are not UTF-8."""

    def jsonify_log_record(self, log_data: LogData) -> str:
        r"""Write such a byte as `\udcff`, as the text format does; orjson refuses the record."""
        return super().jsonify_log_record({name: _escaped(v) for name, v in log_data.items()})


def _escaped(value: Any) -> Any:
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


class OutputHandler(logging.StreamHandler[LogOutput]):
    """Writes records at once, after the lines of requests that are still to be written."""

    def close(self) -> None:
        """Write the last lines; logging closes its handlers when the process ends."""
        OUTPUT.flush(LAST_SECONDS)
        super().close()


def json_formatter() -> logging.Formatter:
    """Return a formatter of JSON: timestamp (UTC), level, logger, message, fields."""
    return JsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        timestamp=True,
        rename_fields={"levelname": "level", "name": "logger"},
    )


def start(arguments: Sequence[str]) -> None:
    """Prepare the log of a command before its settings are known.

    If its format is JSON, errors of imports are JSON too.
    """
    if log_format(arguments) == "json":
        _configure_root("json", "warning")


def _configure_root(output_format: str, level: str) -> None:
    handler = OutputHandler(OUTPUT)
    handler.addFilter(RequestIdFilter())
    handler.setFormatter(TextFormatter() if output_format == "text" else json_formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if output_format == "json":
        log_uncaught()


def configure(settings: Settings) -> None:
    """Send the log of the process to standard error, in the configured format."""
    _configure_root(settings.log_format, settings.log_level)
    # We log one line at the start. These libraries would log five, without fields.
    quiet = ("uvicorn.error", "alembic", "connexion", "asyncio", "watchfiles")
    # SQLAlchemy's pool logs under the module of its class, MeasuredPool.
    for name in (*quiet, "agent_api.observability.metrics"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
