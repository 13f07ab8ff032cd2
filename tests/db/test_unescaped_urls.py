"""Tests of database URLs with special characters: escaped they work, otherwise none is shown."""

from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_api.settings import ConfigError, Settings
from db.engine.connections import address
from tests.commands import refusal
from tests.servers import agent_api

SPECIAL = st.text(st.sampled_from("ab1:/?#[]@!$&'()*+,;=% %2\\\"é\n"), min_size=1, max_size=12)


def parsed(url: str) -> tuple[object, ...] | None:
    """Return user, password, host and database, or None if the URL is refused."""
    try:
        arguments = address.driver_args(address.normalise(url), connect_timeout=5, settings={})
    except ValueError:
        return None
    return tuple(arguments.get(name) for name in ("user", "password", "host", "dbname"))


@given(SPECIAL)
@example("p@ss/w#rd")
@example("p@ss,word")
@example("12/34")
@example("12?a=b")
@example("%zz")
@example("%0")
def test_unescaped_password_never_becomes_a_host(password: str) -> None:
    found = parsed(f"postgresql://user:{password}@host,other/db")

    assert found is None or found == ("user", unquote(password), "host,other", "db")


@given(SPECIAL)
def test_escaped_password_is_read_exactly(password: str) -> None:
    url = f"postgresql://user:{quote(password, safe='')}@host/db"

    assert parsed(url) == ("user", password, "host", "db")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hid@den/w#rd@host/db",
        "postgresql://u:hid den@host/db",
        "postgresql://u:hid%den@host/db",
        "postgresql://u:hid%00den@host/db",
        "postgresql://u:hid%ffden@host/db",
        "postgresql://u:hid/den@host/db",
        "postgresql://u:hid?den@host/db",
        "postgresql://u:1/hidden@host/db",
        "postgresql://u:1?hidden=@host/db",
        "postgresql://u:hid@den,x@a,b/db",
        "postgresql://host/db?user=u&password=hid#den",
    ],
)
def test_url_with_an_unescaped_character_is_refused_with_the_escapes(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Settings.load({"AGENT_API_DATABASE_URL": url})

    line = str(raised.value)
    assert line.startswith("AGENT_API_DATABASE_URL is not percent-encoded: write %40 for @")
    assert not {part for part in ("hid", "den", "w#rd") if part in line}
    assert len(line) < 120


def test_unknown_parameter_behind_a_password_is_not_quoted() -> None:
    with pytest.raises(ConfigError, match="AGENT_API_DATABASE_URL has") as raised:
        Settings.load({"AGENT_API_DATABASE_URL": "postgresql://h/d?password=hid&den=1"})

    assert "den" not in str(raised.value)


@pytest.mark.process
def test_refused_url_is_one_line_without_its_password() -> None:
    url = "postgresql://u:hid@den/w#rd@host/db"

    results = [agent_api(*each, database_url=url) for each in (["migrate", "--check"], ["serve"])]

    for result in results:
        line = refusal(result)
        assert "percent-encoded" in line
        assert not {part for part in ("hid", "den", "w#rd") if part in line}
