"""What the program prints and writes, which versions it takes, and what it cannot use."""

import copy
import json
from pathlib import Path

import pytest

from tests.contract_changes.base import ANSWER, BASE, CREATE, LIMIT, LIST
from tests.contract_changes.edits import Edit, both, drop, edited, move, put, ref
from tests.contract_changes.kinds import compare
from tests.contract_changes.running import run, write


@pytest.mark.parametrize(
    ("old", "new", "words"),
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
def test_a_version_is_three_numbers_and_does_not_go_back(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    before = edited(BASE, put("info version", old))
    done = compare(run, tmp_path, before, copy.deepcopy(BASE), new)
    assert (done.code, words in done.out) == (1 if words else 0, True), done


@pytest.mark.parametrize(
    ("edit", "old", "least"),
    [
        (drop(CREATE), "1.4.2", "2.0.0"),
        (put(f"{LIST} deprecated", True), "1.4.2", "1.5.0"),
        (put("info title", "All"), "1.4.2", "1.4.3"),
        (drop(CREATE), "0.4.2", "1.0.0"),
    ],
)
def test_the_least_version_goes_on_from_the_last_one(
    tmp_path: Path, edit: Edit, old: str, least: str
) -> None:
    before = edited(BASE, put("info version", old))
    refused = compare(run, tmp_path, before, edited(before, edit), old)
    assert refused.out.splitlines()[-1].endswith(
        f"info.version is {old}, and has to be at least {least}."
    )
    assert compare(run, tmp_path, before, edited(before, edit), least).code == 0


def test_changes_are_printed_by_kind_and_a_schema_once(tmp_path: Path) -> None:
    changes = both(
        put("components schemas Draft properties name maxLength", 200),
        put("components schemas Thing properties size maximum", 9),
        put("components schemas Round properties r description", "How round."),
        put("components responses NotFound description", "None."),
        drop("paths /health"),
    )
    done = compare(run, tmp_path, BASE, edited(BASE, changes), "2.0.0")
    assert done.out.splitlines() == [
        "Breaking:",
        "  Draft in requests (POST /things): name takes at most 200 characters, before 255",
        "  GET /health: it is gone",
        "Compatible:",
        "  Thing in answers (GET /things, POST /things): size has at most 9, before 10",
        "Changed wording: in 2 places",
        "Version 2.0.0 is right.",
    ]


def test_the_changelog_says_what_changed_in_sentences(tmp_path: Path) -> None:
    changes = both(
        put("components schemas Draft properties name maxLength", 200),
        put("components schemas Draft properties name pattern", "^[`]$"),
        put("components schemas Thing properties color enum", ["red"]),
        put(f"{LIMIT} schema maximum", 50),
        put("paths /health head", {"summary": "Look", "responses": {"200": ANSWER}}),
        put("info title", "All things"),
        put(f"{LIST} summary", "See things"),
        put("components responses NotFound description", "None."),
    )
    changelog = tmp_path / "changes.md"
    new = write(tmp_path, "new.json", edited(BASE, both(changes, put("info version", "2.0.0"))))
    done = run(write(tmp_path, "old.json", BASE), new, "--changelog", str(changelog))
    assert done.code == 0, done
    assert changelog.read_text(encoding="utf-8") == (
        "# Changes of the contract from 1.0.0 to 2.0.0\n"
        "\n## Breaking\n"
        "\n### `GET /things`\n"
        "\n- The query parameter `limit` takes at most 50, before 100.\n"
        "\n### `Draft` in requests\n"
        "\nIn `POST /things`:\n"
        "\n- `name` takes at most 200 characters, before 255.\n"
        "- `name` matches `` ^[`]$ ``, before `^[a-z]+$`.\n"
        "\n## Compatible\n"
        "\n### `Thing` in answers\n"
        "\nIn `GET /things`, `POST /things`:\n"
        "\n- `color` has `green` no longer.\n"
        "\n### `HEAD /health`\n"
        "\n- It is new: Look.\n"
        "\n## Changed wording\n"
        "\n### `GET /things`\n"
        "\n- It has new wording: summary.\n"
        "\n### Several operations\n"
        "\nIn `GET /things`, `POST /things`:\n"
        "\n- Answer 404 has new wording: description.\n"
        "\n### The contract\n"
        "\n- It has new wording: title.\n"
    )


def test_the_changelog_of_nothing_says_so(tmp_path: Path) -> None:
    changelog = tmp_path / "changes.md"
    same = write(tmp_path, "same.json", BASE)
    assert run(same, same, "--changelog", str(changelog)).code == 0
    assert changelog.read_text(encoding="utf-8").endswith("\n\nNothing has changed.\n")


UNUSABLE: dict[str, tuple[str, str]] = {
    "not YAML": ("{", "is not YAML"),
    "not text": ("\x00", "is not YAML"),
    "empty": ("", "is not an OpenAPI 3.0 document"),
    "a list": ("[]", "is not an OpenAPI 3.0 document"),
    "Swagger": ('{"swagger": "2.0", "info": {}, "paths": {}}', "is not an OpenAPI 3.0 document"),
    "OpenAPI 3.1": (json.dumps(BASE | {"openapi": "3.1.0"}), "is not an OpenAPI 3.0 document"),
    "without paths": ('{"openapi": "3.0.3", "info": {"version": "1.0.0"}}', "has no paths"),
    "a reference to nothing": (
        json.dumps(BASE | {"x": ref("schemas", "Lost")}),
        "the $ref #/components/schemas/Lost leads nowhere",
    ),
    "a reference to another file": (
        json.dumps(BASE | {"x": {"$ref": "more.yaml#/a"}}),
        "the $ref more.yaml#/a leads out of the document",
    ),
    "a list where an object belongs": (
        json.dumps(edited(BASE, put(f"{LIST} responses", ["200"]))),
        "breaks OpenAPI 3.0",
    ),
    "a schema that contains itself": (
        json.dumps(
            edited(BASE, put("components schemas Round", {"allOf": [ref("schemas", "Round")]}))
        ),
        "a schema contains itself",
    ),
    "a multiple of nothing": (
        json.dumps(edited(BASE, put("components schemas Draft properties size multipleOf", 0))),
        "breaks OpenAPI 3.0",
    ),
    "an answer that refers to itself": (
        json.dumps(
            edited(BASE, put("components responses NotFound", ref("responses", "NotFound")))
        ),
        "leads to itself",
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path, case: str) -> None:
    text, words = UNUSABLE[case]
    bad, good = tmp_path / "bad.yaml", write(tmp_path, "good.json", BASE)
    bad.write_text(text, encoding="utf-8")
    for pair in ((bad, good), (good, bad)):
        done = run(*pair)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done
        assert words in done.err


def test_a_missing_file_and_a_changelog_without_folder_are_said_in_one_line(tmp_path: Path) -> None:
    here, lost = write(tmp_path, "here.json", BASE), tmp_path / "lost" / "file"
    for done in (run(here, lost), run(lost, here), run(here, here, "--changelog", str(lost))):
        assert (done.code, done.err) == (2, f"contract: {lost}: No such file or directory\n")


def test_a_word_that_it_does_not_know_is_a_fault(tmp_path: Path) -> None:
    here = write(tmp_path, "here.json", BASE)
    assert run(here, here, "--loosely").code == 2


def test_a_path_that_is_written_elsewhere_is_compared(tmp_path: Path) -> None:
    away = both(put("x-paths", {}), move("paths /health", "x-paths h"))
    elsewhere = edited(BASE, both(away, put("paths /health", {"$ref": "#/x-paths/h"})))
    gone = edited(elsewhere, drop("paths /health"))

    done = run(write(tmp_path, "old.json", elsewhere), write(tmp_path, "new.json", gone))

    assert (done.code, "GET /health: it is gone" in done.out) == (1, True), done


def test_aliases_of_aliases_do_not_hang_it(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)
    ]
    bomb = tmp_path / "bomb.yaml"
    text = json.dumps(BASE)[:-1] + ', "x-bomb": {' + ", ".join(lines) + "}}"
    bomb.write_text(text, encoding="utf-8")

    assert run(bomb, write(tmp_path, "new.json", BASE)).code == 1
