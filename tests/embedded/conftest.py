"""What the tests of the embedded server share: accounts, data folders, and one that is made."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.embedded.accounts import ACCOUNTS, IS_ROOT, Account, ordinary_account
from tests.embedded.place import Place, new_place, query

collect_ignore = [] if IS_ROOT else ["test_embedded_root.py"]


@pytest.fixture(scope="session")
def accounts() -> Iterator[dict[str, Account]]:
    with ExitStack() as stack:
        named = {"root": Account(), "self": Account()}
        if "nobody" in ACCOUNTS:
            named["nobody"] = stack.enter_context(ordinary_account())
        yield named


@pytest.fixture(scope="session")
def made(accounts: dict[str, Account]) -> Iterator[dict[str, Path]]:
    """For every account a data folder whose server ran before, made once: that takes a second."""
    with ExitStack() as stack:
        folders = {}
        for name in ACCOUNTS:
            place = stack.enter_context(new_place(accounts[name]))
            client = place.attach()
            query(client.answer(), "create table kept (batch text, number int)")
            place.end()
            folders[name] = place.data
        yield folders


@pytest.fixture(params=ACCOUNTS)
def account_name(request: pytest.FixtureRequest) -> str:
    """Tests of one account alone parametrise this."""
    return str(request.param)


@pytest.fixture
def fresh(accounts: dict[str, Account], account_name: str) -> Iterator[Place]:
    """A data folder that does not exist yet."""
    with new_place(accounts[account_name]) as place:
        yield place


@pytest.fixture
def place_named(
    accounts: dict[str, Account], made: dict[str, Path], account_name: str
) -> Iterator[Callable[[str], Place]]:
    """Call it once for a data folder at a given path, whose server ran before."""
    with ExitStack() as stack:
        account = accounts[account_name]
        yield lambda name: stack.enter_context(new_place(account, name, made[account_name]))


@pytest.fixture
def place(place_named: Callable[[str], Place]) -> Place:
    """A data folder whose server ran before and has the table `kept`."""
    return place_named("data")
