"""Writes rows of runs and their events as JSON documents."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from db import models
from db.documents import Document, Json, time, to_json

_read_raw = msgspec.json.Decoder(dict[str, Raw]).decode


class _Run(Struct, gc=False):
    id: str
    agent_id: str
    conversation_id: str | None
    status: str
    input: Json
    output: Json
    error: str | None
    created_by: str
    created_at: str
    updated_at: str
    started_at: str | None
    finished_at: str | None
    cancel_requested_at: str | None
    attempts: int

    def __post_init__(self) -> None:
        self.input = self.input and Raw(self.input)
        self.output = self.output and Raw(self.output)
        self.created_at = time(self.created_at)
        self.updated_at = time(self.updated_at)
        self.started_at = self.started_at and time(self.started_at)
        self.finished_at = self.finished_at and time(self.finished_at)
        if self.cancel_requested_at:
            self.cancel_requested_at = time(self.cancel_requested_at)


class RunEvent(Struct, gc=False):
    """An event of a run. `data` is JSON."""

    sequence: int
    type: str
    data: Json
    transient: bool
    created_at: str

    def __post_init__(self) -> None:
        """Convert the values of the row."""
        self.data = Raw(self.data)
        self.created_at = time(self.created_at)


def _member_run_event(sequence: int, type_: str, data: str, *more: Any) -> Struct:
    """Return the event without the run's input: the server's events contain the run."""
    if type_.startswith("run."):
        run = _read_raw(data)
        data = to_json({**run, "input": Raw(b"null")}).decode() if "input" in run else data
    return RunEvent(sequence, type_, data, *more)


RUN = Document(models.runs, _Run.__struct_fields__, _Run)
RUN_EVENT = Document(models.run_events, RunEvent.__struct_fields__, RunEvent)
MEMBER_RUN_EVENT = RUN_EVENT._replace(structure=_member_run_event)
