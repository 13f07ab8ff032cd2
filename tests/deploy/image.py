"""Executes a Dockerfile in folders with a bare Debian, where no container engine is available."""

import json
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from string import Template

from dockerfile_parse import DockerfileParser
from pathspec import PathSpec

from tests.deploy.debian_root import PATH, command_in, copied, run

_OPTION = re.compile(r"--(\S+)\s+")


@dataclass
class Image:
    """The root and the configuration of one stage; the last stage is the image."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    arguments: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    stop_signal: str = "SIGTERM"
    port: int = 0
    labels: dict[str, str] = field(default_factory=dict)


def build(dockerfile: Path, checkout: Path, base: Path, secrets: Mapping[Path, str]) -> Image:
    """Execute every instruction; `base` stands in for each image that FROM names.

    `secrets` are mounted for each RUN that asks for a secret. An unknown instruction or option
    fails.
    """
    context = base.with_name("context")
    _make_context(checkout, dockerfile, context)
    stages: dict[str, Image] = {}
    image = Image(base)
    for step in DockerfileParser(fileobj=BytesIO(dockerfile.read_bytes())).structure:
        instruction, options, value = step["instruction"], [], step["value"]
        while option := _OPTION.match(value):
            options.append(option[1])
            value = value[option.end() :]
        match instruction, options:
            case "COMMENT", _:
                continue
            case "FROM", []:
                name = value.partition(" AS ")[2] or "image"
                stages[name] = image = Image(copied(base, name))
                (image.root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
            case "ARG", []:
                image.arguments |= _assignments(value, image.environment)
            case "ENV", []:
                image.environment |= _assignments(value, image.environment)
            case "LABEL", []:
                image.labels |= _assignments(value, image.environment)
            case "WORKDIR", []:
                image.folder = value
                (image.root / value.strip("/")).mkdir(parents=True, exist_ok=True)
            case "COPY", []:
                _copy(context, image, value)
            case "COPY", [source] if source.startswith("from="):
                _copy(stages[source.removeprefix("from=")].root, image, value)
            case "RUN", _:
                assert all(option.startswith("mount=type=secret,") for option in options)
                command = command_in(
                    image.root,
                    *("sh", "-c", value),
                    user=image.user,
                    folder=image.folder,
                    mounts=secrets if options else {},
                )
                run(command, image.arguments | image.environment)
            case "HEALTHCHECK", _:
                image.healthcheck = json.loads(value.removeprefix("CMD"))
            case "USER", []:
                image.user = value
            case "ENTRYPOINT", []:
                image.entrypoint, image.command = json.loads(value), []
            case "CMD", []:
                image.command = json.loads(value)
            case "STOPSIGNAL", []:
                image.stop_signal = value
            case "EXPOSE", []:
                image.port = int(value)
            case _:
                raise AssertionError(f"unknown: {step['content']}")
    return image


def _assignments(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    pairs = (word.partition("=") for word in shlex.split(text))
    return {name: Template(value).substitute(environment) for name, _, value in pairs}


def _make_context(checkout: Path, dockerfile: Path, context: Path) -> None:
    """Copy what .dockerignore leaves of a checkout, which is what a builder gets to see."""
    lines = dockerfile.with_name(f"{dockerfile.name}.dockerignore").read_text().splitlines()
    ignored = PathSpec.from_lines("gitignore", lines)

    def ignore(folder: str, names: list[str]) -> list[str]:
        place = Path(folder).relative_to(checkout)
        return [name for name in names if ignored.match_file(place / name)]

    shutil.copytree(checkout, context, ignore=ignore)


def _copy(source: Path, image: Image, paths: str) -> None:
    """Copy a folder's content, the only use of COPY that the Dockerfile makes."""
    given, target = paths.split()
    place = image.root / Path(image.folder, target).relative_to("/")
    shutil.copytree(source / given.lstrip("/"), place, symlinks=True, dirs_exist_ok=True)
