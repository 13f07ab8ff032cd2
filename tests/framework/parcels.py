"""The handlers of parcels.yaml. Their responses are valid or wrong, as the test requests."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from agent_api.auth.principal import Principal
from agent_api.http.problems import Conflict
from agent_api.http.responses import Response, created, ok, stream
from tests.framework.apps import contract

CONTRACT = contract(Path(__file__).with_name("parcels.yaml").read_text(encoding="utf-8"))
SECRET_DETAIL = "the vault's code is 1234"


class ObservedStream:
    """A stream of three lines that waits after the first until the test lets it continue."""

    def __init__(self) -> None:
        self.name = uuid.uuid4().hex
        self.sent = 0
        self.may_continue = threading.Event()
        self.ended = threading.Event()

    def send(self) -> Iterator[bytes]:
        try:
            while True:
                self.sent += 1
                yield b"[%d]\n" % self.sent
                if self.sent == 3:
                    return
                while not self.may_continue.wait(0.01):
                    yield b""
        finally:
            self.ended.set()

    async def send_async(self) -> AsyncIterator[bytes]:
        try:
            while True:
                self.sent += 1
                yield b"[%d]\n" % self.sent
                if self.sent == 3:
                    return
                while not self.may_continue.is_set():  # noqa: ASYNC110  # set in another thread
                    await asyncio.sleep(0.01)
        finally:
            self.ended.set()


STREAMS: dict[str, ObservedStream] = {}


def get_parcel(parcel_id: str) -> Any:
    """Return plain data, a Response, or something that the contract does not allow."""
    match parcel_id:
        case "right":
            return {"weight": 5, "label": None}
        case "a-response":
            return ok({"weight": 5})
        case "wrong-shape":
            return {"weight": 0, "label": SECRET_DETAIL}
        case "nothing":
            return None
        case "unserialisable":
            return {"weight": 5, "extra": object()}
        case "wrong-status":
            return Response(299, {"weight": 5})
        case "wrong-problem":
            raise Conflict("This is not in the contract.")
        case _:
            raise RuntimeError(SECRET_DETAIL)


def create_parcel(body: dict[str, Any]) -> Response:
    parcel = {"weight": 1}
    return created(parcel, "/parcels/1") if body["found"] else Response(201, parcel)


def create_pickup() -> Response:
    return Response(202)


def create_label(body: dict[str, Any]) -> dict[str, Any]:
    return body


def get_greeting(template: str, x_copies: int) -> dict[str, Any]:
    return {"template": template, "copies": x_copies}


async def get_sender(principal: Principal) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"user_id": principal.user_id, "on_the_loop": asyncio.get_running_loop().is_running()}


def get_tracking(parcel_id: str) -> Response:
    kind, _, name = parcel_id.partition("-")
    if kind == "broken":
        return stream(_broken(), "text/plain")
    observed = STREAMS[name]
    return stream(
        observed.send() if kind == "plain" else observed.send_async(), "application/x-ndjson"
    )


def _broken() -> Iterator[bytes]:
    yield b"a beginning"
    raise RuntimeError(SECRET_DETAIL)


HANDLERS = {
    function.__name__: function
    for function in (
        get_parcel,
        create_parcel,
        create_pickup,
        create_label,
        get_greeting,
        get_sender,
        get_tracking,
    )
}
