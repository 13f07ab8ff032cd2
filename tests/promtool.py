"""Checks and evaluates the files of deploy/prometheus/ with promtool.

promtool comes with Prometheus: in Debian the package `prometheus`, which `.ci/run` fetches.
"""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.programs import installed
from tests.scraping import Samples

SECONDS_BETWEEN_SCRAPES = 30


def program(name: str) -> str:
    """Return the path of promtool or prometheus."""
    return installed(name, "apt-get install prometheus")


def run(name: str, *arguments: str, folder: str | Path) -> None:
    """Run a program in a folder; fail with its output if it does not succeed."""
    result = subprocess.run(
        [program(name), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def assert_firing(
    rules: Sequence[Mapping[str, Any]], scrapes: Sequence[Samples], expected: set[str]
) -> None:
    """Fail unless exactly the alerts named `expected` fire at the last scrape."""
    test = {
        "interval": f"{SECONDS_BETWEEN_SCRAPES}s",
        "input_series": series(scrapes),
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{(len(scrapes) - 1) * SECONDS_BETWEEN_SCRAPES}s",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)
                ],
            }
        ],
    }
    with tempfile.TemporaryDirectory(prefix="agent-api-promtool-") as folder:
        # JSON is YAML.
        groups = {"groups": [{"name": "agent-api", "rules": list(rules)}]}
        Path(folder, "rules.yml").write_text(json.dumps(groups))
        tests = {
            "rule_files": ["rules.yml"],
            "evaluation_interval": f"{SECONDS_BETWEEN_SCRAPES}s",
            "tests": [test],
        }
        Path(folder, "test.yml").write_text(json.dumps(tests))
        run("promtool", "test", "rules", "test.yml", folder=folder)


def series(scrapes: Sequence[Samples]) -> list[dict[str, str]]:
    """Return promtool's input_series: each series with its value in every scrape.

    A series is absent before its first value, and stale in a scrape that lacks it.
    """
    found: dict[Any, list[str]] = {}
    for number, samples in enumerate(scrapes):
        for key in samples:
            found.setdefault(key, ["_"] * number)
        for key, values in found.items():
            values.append(f"{samples[key]:.17g}" if key in samples else "stale")
    return [
        {"series": f"{name}{{{_labels(labels)}}}", "values": " ".join(values)}
        for (name, labels), values in found.items()
    ]


def _labels(labels: frozenset[tuple[str, str]]) -> str:
    return ",".join(f"{name}={json.dumps(value)}" for name, value in sorted(labels))
