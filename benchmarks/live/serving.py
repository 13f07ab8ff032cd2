"""The servers of these measurements: ours, and a peer whose streams poll."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from benchmarks import servers
from benchmarks.growth import serving
from benchmarks.servers import Server
from benchmarks.workload import SECRET

MAX_STREAMS_OF_A_USER = 1000
"""More than are open: those of the measurement before may be about to close."""


@contextmanager
def serve(url: str, folder: Path, name: str, *, max_streams: int) -> Iterator[Server]:
    """Serve ours with one worker, as its users start it, without its log of requests."""
    settings = {
        "AGENT_API_DATABASE_URL": url,
        "AGENT_API_MAX_STREAMS": str(max_streams),
        "AGENT_API_MAX_STREAMS_PER_USER": str(MAX_STREAMS_OF_A_USER),
    }
    with serving.launch(folder, name, settings, folder) as server:
        servers.wait_until_ready(server, folder / f"{name}.log")
        yield server


@contextmanager
def serve_peer(url: str, folder: Path) -> Iterator[Server]:
    """Serve FastAPI, with the same number of connections to the database."""
    port = servers.free_port()
    config = folder / "polling.json"
    config.write_bytes(
        orjson.dumps(
            {
                "port": port,
                "database_url": url,
                "secret": SECRET,
                "pool_size": serving.POOL_SIZE,
            }
        )
    )
    command = [sys.executable, "-m", "benchmarks.peers", "fastapi_polling", str(config)]
    with servers.running("FastAPI", command, {}, port, folder) as server:
        servers.wait_until_ready(server, folder / "FastAPI.log")
        yield server
