"""Fixtures of the embedded server's tests: users, new data folders and used ones."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.embedded.accounts import ACCOUNTS, IS_ROOT, Account, ordinary_account
from tests.embedded.place import Place, new_place, query

collect_ignore = [] if IS_ROOT else ["test_embedded_root.py"]


@pytest.fixture(scope="session")
def accounts() -> Iterator[Callable[[str], Account]]:
    """Call it with a name for an account, which is prepared at its first use."""
    with ExitStack() as stack:

        @cache
        def prepare(name: str) -> Account:
            return stack.enter_context(ordinary_account()) if name == "nobody" else Account()

        yield prepare


@pytest.fixture(scope="session")
def used_folders(accounts: Callable[[str], Account]) -> Iterator[Callable[[str], Path]]:
    """Call it for an account's data folder that already has a database; each is made once."""
    with ExitStack() as stack:

        @cache
        def make(account_name: str) -> Path:
            place = stack.enter_context(new_place(accounts(account_name)))
            client = place.attach()
            query(client.answer(), "create table kept (batch text, number int)")
            place.end()
            return place.data

        yield make


@pytest.fixture(params=ACCOUNTS)
def account_name(request: pytest.FixtureRequest) -> str:
    """The user who attaches; ONE_ACCOUNT and ORDINARY_ACCOUNT select one."""
    return str(request.param)


@pytest.fixture
def fresh(accounts: Callable[[str], Account], account_name: str) -> Iterator[Place]:
    """A data folder that does not exist yet."""
    with new_place(accounts(account_name)) as place:
        yield place


@pytest.fixture
def place_named(
    accounts: Callable[[str], Account],
    used_folders: Callable[[str], Path],
    account_name: str,
) -> Iterator[Callable[[str], Place]]:
    """Call it once to move a used data folder to a path."""
    with ExitStack() as stack:
        account, used = accounts(account_name), used_folders(account_name)
        yield lambda name: stack.enter_context(new_place(account, name, used))


@pytest.fixture
def place(place_named: Callable[[str], Place]) -> Place:
    """A used data folder, whose database has the table `kept`."""
    return place_named("data")
