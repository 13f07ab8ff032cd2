"""Read /metrics like Prometheus does."""

import time

import httpx
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Maps the name and labels of a sample to its value."""
IN_PROGRESS = ("agent_api_http_requests_in_progress", "agent_api_db_pool_in_use")


def scrape(port: int) -> Samples:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10, verify=False)
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def scrape_idle(port: int) -> Samples:
    """Scrape when no request and no sweep is in progress.

    A response is sent before it is counted, and a server sweeps every few seconds.
    """
    deadline = time.monotonic() + 60
    while any(value(samples := scrape(port), name) for name in IN_PROGRESS):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return samples


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum of the samples of `name` that have `labels`."""
    wanted = set(labels.items())
    return sum(v for (found, has), v in samples.items() if found == name and wanted <= has)
