"""Serves one peer, `python -m benchmarks.peers floor ...`: one worker, no access log."""

import argparse
import importlib

import uvicorn

from benchmarks.peers.common import Config


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("peer")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--pool-size", type=int, required=True)
    given = parser.parse_args()
    config = Config(given.database_url, given.secret, given.pool_size)
    peer = importlib.import_module(f"benchmarks.peers.{given.peer}")
    uvicorn.run(
        peer.create_app(config),
        host="127.0.0.1",
        port=given.port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        ws="none",
    )


if __name__ == "__main__":
    main()
