"""Logs what the interpreter would print as plain text: uncaught exceptions and warnings."""

import logging
import sys
import threading
from types import TracebackType

logger = logging.getLogger("agent_api.uncaught")


def log_uncaught() -> None:
    """Log the exceptions that no code catches in this process, and its warnings."""
    sys.excepthook = _log
    threading.excepthook = _log_of_thread
    sys.unraisablehook = _log_unraisable
    logging.captureWarnings(True)


def _log(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("uncaught exception", exc_info=(kind, error, traceback))


def _log_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        _log(args.exc_type, args.exc_value, args.exc_traceback)


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    """Log an exception that Python cannot raise, for example in `__del__`."""
    if args.exc_value is not None:
        logger.error("ignored exception", exc_info=args.exc_value)
