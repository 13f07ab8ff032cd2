"""What the check prints and writes, which versions it accepts, and which documents it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract_changes.base import BASE, CREATE, LIMIT, LIST, RESPONSE
from tests.contract_changes.checker import command, compare, run, versions
from tests.contract_changes.edits import Edit, both, drop, edited, move, put, ref


def write(folder: Path, name: str, contract: Any) -> str:
    path = folder / name
    path.write_text(json.dumps(contract), encoding="utf-8")  # JSON is YAML, and written faster
    return str(path)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("1.0.0", "1.0.0", ""),
        ("1.0.0", "3.1.4", ""),
        ("1.9.0", "1.10.0", ""),
        ("1.2.0", "1.1.9", "went back from 1.2.0 to 1.1.9"),
        ("2.0.0", "1.9.9", "went back"),
        ("1.0", "1.0.0", "info.version is 1.0: write it as three numbers"),
        ("1.0.0", "1.1", "write it as three numbers"),
        ("1.0.0", "1.1.0-rc.1", "write it as three numbers"),
        ("1.0.0", "v1.1.0", "write it as three numbers"),
        ("1.0.0", "1.01.0", "write it as three numbers"),
    ],
)
def test_version_is_three_numbers_and_never_goes_back(old: str, new: str, error: str) -> None:
    found = versions.error(old, new, [])

    assert (found == "") == (error == "")
    assert error in found


@pytest.mark.parametrize(
    ("edit", "old", "least"),
    [
        (drop(CREATE), "1.4.2", "2.0.0"),
        (put(f"{LIST} deprecated", True), "1.4.2", "1.5.0"),
        (put("info title", "All"), "1.4.2", "1.4.3"),
        (drop(CREATE), "0.4.2", "1.0.0"),
    ],
    ids=["breaking", "addition", "wording", "breaking before 1.0.0"],
)
def test_lowest_version_continues_from_the_last_one(edit: Edit, old: str, least: str) -> None:
    changes = compare(BASE, edited(BASE, edit))

    refused = versions.error(old, old, changes)

    assert refused.endswith(f"info.version is {old}, and must be at least {least}.")
    assert versions.error(old, least, changes) == ""


def test_changes_are_printed_by_kind_and_shared_schemas_once(tmp_path: Path) -> None:
    changes = both(
        put("components schemas Draft properties name maxLength", 200),
        put("components schemas Thing properties size maximum", 9),
        put("components schemas Round properties r description", "How round."),
        put("components responses NotFound description", "None."),
        drop("paths /health"),
        put("info version", "2.0.0"),
    )

    done = run(
        Path(write(tmp_path, "old.json", BASE)),
        Path(write(tmp_path, "new.json", edited(BASE, changes))),
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Breaking:",
        "  Draft in requests (POST /things): name accepts at most 200 characters (before: 255)",
        "  GET /health: it was removed",
        "Compatible:",
        "  Thing in responses (GET /things, POST /things): size has at most 9 (before: 10)",
        "Changed wording: in 2 places",
        "Version 2.0.0 fits.",
    ]


def test_changelog_describes_changes_in_sentences(tmp_path: Path) -> None:
    changes = both(
        put("components schemas Draft properties name maxLength", 200),
        put("components schemas Draft properties name pattern", "^[`]$"),
        put("components schemas Thing properties color enum", ["red"]),
        put(f"{LIMIT} schema maximum", 50),
        put("paths /health head", {"summary": "Look", "responses": {"200": RESPONSE}}),
        put("info title", "All things"),
        put(f"{LIST} summary", "See things"),
        put("components responses NotFound description", "None."),
        put("info version", "2.0.0"),
    )
    changelog = tmp_path / "changes.md"
    old, new = write(tmp_path, "old.json", BASE), write(tmp_path, "new.json", edited(BASE, changes))

    assert command.main([old, new, "--changelog", str(changelog)]) == 0

    assert changelog.read_text(encoding="utf-8") == (
        "# Changes of the contract from 1.0.0 to 2.0.0\n"
        "\n## Breaking\n"
        "\n### `GET /things`\n"
        "\n- The query parameter `limit` accepts at most 50 (before: 100).\n"
        "\n### `Draft` in requests\n"
        "\nIn `POST /things`:\n"
        "\n- `name` accepts at most 200 characters (before: 255).\n"
        "- `name` matches `` ^[`]$ `` (before: `^[a-z]+$`).\n"
        "\n## Compatible\n"
        "\n### `Thing` in responses\n"
        "\nIn `GET /things`, `POST /things`:\n"
        "\n- `color` no longer has `green`.\n"
        "\n### `HEAD /health`\n"
        "\n- It was added: Look.\n"
        "\n## Changed wording\n"
        "\n### `GET /things`\n"
        "\n- It has new wording: summary.\n"
        "\n### Several operations\n"
        "\nIn `GET /things`, `POST /things`:\n"
        "\n- Response 404 has new wording: description.\n"
        "\n### The contract\n"
        "\n- It has new wording: title.\n"
    )


def test_changelog_of_equal_contracts_reports_no_change(tmp_path: Path) -> None:
    changelog = tmp_path / "changes.md"
    same = write(tmp_path, "same.json", BASE)

    assert command.main([same, same, "--changelog", str(changelog)]) == 0

    assert changelog.read_text(encoding="utf-8").endswith("\n\nNothing has changed.\n")


UNUSABLE: dict[str, tuple[str, str]] = {
    "not YAML": ("{", "is not YAML"),
    "not text": ("\x00", "is not YAML"),
    "empty": ("", "is not an OpenAPI 3.0 document"),
    "a list": ("[]", "is not an OpenAPI 3.0 document"),
    "Swagger": ('{"swagger": "2.0", "info": {}, "paths": {}}', "is not an OpenAPI 3.0 document"),
    "OpenAPI 3.1": (json.dumps(BASE | {"openapi": "3.1.0"}), "is not an OpenAPI 3.0 document"),
    "without paths": ('{"openapi": "3.0.3", "info": {"version": "1.0.0"}}', "has no paths"),
    "a reference without a target": (
        json.dumps(BASE | {"x": ref("schemas", "Lost")}),
        "the $ref #/components/schemas/Lost has no target",
    ),
    "a reference to another file": (
        json.dumps(BASE | {"x": {"$ref": "more.yaml#/a"}}),
        "the $ref more.yaml#/a leaves the document",
    ),
    "a list where an object belongs": (
        json.dumps(edited(BASE, put(f"{LIST} responses", ["200"]))),
        "is not valid OpenAPI 3.0",
    ),
    "a schema that contains itself": (
        json.dumps(
            edited(BASE, put("components schemas Round", {"allOf": [ref("schemas", "Round")]}))
        ),
        "a schema contains itself",
    ),
    "a multiple of zero": (
        json.dumps(edited(BASE, put("components schemas Draft properties size multipleOf", 0))),
        "is not valid OpenAPI 3.0",
    ),
    "a response that refers to itself": (
        json.dumps(
            edited(BASE, put("components responses NotFound", ref("responses", "NotFound")))
        ),
        "refers to itself",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_document_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    text, error = UNUSABLE[case]
    bad, good = str(tmp_path / "bad.yaml"), write(tmp_path, "good.json", BASE)
    Path(bad).write_text(text, encoding="utf-8")

    for pair in ([bad, good], [good, bad]):
        assert command.main(pair) == 2
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        assert error in printed.err


def test_missing_files_and_folders_are_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, missing = write(tmp_path, "here.json", BASE), str(tmp_path / "missing" / "file")

    for arguments in ([here, missing], [missing, here], [here, here, "--changelog", missing]):
        assert command.main(arguments) == 2
        assert capsys.readouterr().err == f"contract: {missing}: No such file or directory\n"


def test_unknown_option_is_refused(tmp_path: Path) -> None:
    here = write(tmp_path, "here.json", BASE)

    with pytest.raises(SystemExit) as exited:
        command.main([here, here, "--loosely"])

    assert exited.value.code == 2


def test_referenced_path_item_is_compared() -> None:
    moved = both(put("x-paths", {}), move("paths /health", "x-paths h"))
    referenced = edited(BASE, both(moved, put("paths /health", {"$ref": "#/x-paths/h"})))

    (change,) = compare(referenced, edited(referenced, drop("paths /health")))

    assert (change.operation, change.words) == ("GET /health", "was removed")


def test_nested_yaml_aliases_do_not_hang_the_check(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)
    ]
    bomb = tmp_path / "bomb.yaml"
    text = json.dumps(BASE)[:-1] + ', "x-bomb": {' + ", ".join(lines) + "}}"
    bomb.write_text(text, encoding="utf-8")

    assert command.main([str(bomb), write(tmp_path, "new.json", BASE)]) == 1
