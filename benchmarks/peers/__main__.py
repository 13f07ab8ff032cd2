"""Serves a Python peer, `python -m benchmarks.peers NAME CONFIG`: one worker, no access log."""

import importlib
import json
import sys
from pathlib import Path

import uvicorn

from benchmarks.peers.common import Config


def main(name: str, config_file: str) -> None:
    given = json.loads(Path(config_file).read_text("utf-8"))
    config = Config(**{field: given[field] for field in Config._fields})
    uvicorn.run(
        importlib.import_module(f"benchmarks.peers.{name}").create_app(config),
        host="127.0.0.1",
        port=config.port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        ws="none",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
