"""What Prometheus reads of a server: /metrics, each value by its name and labels."""

import time

import httpx
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Each value by its name and its labels."""


def scrape(port: int) -> Samples:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10, verify=False)
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def scrape_idle(port: int) -> Samples:
    """Scrape when nothing is being answered: a client may have its answer before it is counted."""
    deadline = time.monotonic() + 10
    while value(samples := scrape(port), "agent_api_http_requests_in_progress"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return samples


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum of the samples of `name` that have `labels`."""
    wanted = set(labels.items())
    return sum(v for (found, has), v in samples.items() if found == name and wanted <= has)
