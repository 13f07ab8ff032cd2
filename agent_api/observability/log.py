"""The log: where it goes, how its lines look, and the ids that each line carries."""

import logging
import logging.config
import sys

from pythonjsonlogger.orjson import OrjsonFormatter

from agent_api.http.request_context import request_ids
from agent_api.settings import Settings

_PLAIN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class RequestIdFilter(logging.Filter):
    """Adds the ids of the request that is being answered, and of its trace, to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass every record on."""
        if (ids := request_ids.get()) is not None:
            vars(record).update(ids)
        return True


class TextFormatter(logging.Formatter):
    """One line for a person: time, level, message, and the fields as name=value."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Append the fields given by `extra=`."""
        fields = (f"{k}={v}" for k, v in vars(record).items() if k not in _PLAIN_FIELDS)
        return " ".join([super().formatMessage(record), *fields])


def json_formatter() -> logging.Formatter:
    """Return the formatter of JSON lines: timestamp (UTC), level, logger, message, fields."""
    return OrjsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        timestamp=True,
        rename_fields={"levelname": "level", "name": "logger"},
    )


def _is_news(record: logging.LogRecord) -> bool:
    """Keep back what the protocol's own line says too, with the request's id."""
    return record.msg != "Invalid HTTP request received."


def configure(settings: Settings) -> None:
    """Send the whole process's log to standard error in the settings' format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RequestIdFilter())
    handler.setFormatter(TextFormatter() if settings.log_format == "text" else json_formatter())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # One line says that the server started, ours; theirs say it five times, without fields.
    quiet = ("uvicorn.error", "alembic", "connexion", "asyncio", "watchfiles")
    # SQLAlchemy's pool logs under the module of its class, which is CountedPool in metrics.
    for name in (*quiet, "agent_api.observability.metrics"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger("uvicorn.error").addFilter(_is_news)
