"""Does something for each of several rows, although it may fail for some of them."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from db.engine import Connection, transaction
from db.errors import Failure, Refused

T = TypeVar("T")


def try_each(rows: Iterable[T], act: Callable[[Connection, T], None]) -> dict[T, Failure | Refused]:
    """Call `act` for each row, in a transaction of its own; return the rows for which it failed."""
    failed: dict[T, Failure | Refused] = {}
    for row in rows:
        try:
            with transaction() as connection:
                act(connection, row)
        except (Failure, Refused) as failure:
            failed[row] = failure
    return failed


def raise_first(failed: dict[T, Failure | Refused]) -> None:
    """Raise the first failure, if there is one."""
    for failure in failed.values():
        raise failure
