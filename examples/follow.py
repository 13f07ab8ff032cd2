# Follow a run: API=http://127.0.0.1:8000 TOKEN=... python follow.py RUN_ID FILE
# Kill it at any time and run it again: the last line of FILE tells where to continue.
import os
import sys
import time
from pathlib import Path

import httpx
from agent_api_client import AuthenticatedClient

file, path = Path(sys.argv[2]), f"/runs/{sys.argv[1]}/events/stream"
timeout = httpx.Timeout(30)  # the server sends a comment every 15 seconds
api = AuthenticatedClient(os.environ["API"], token=os.environ["TOKEN"], timeout=timeout)
file.touch()
while (last := [b"0", *file.read_bytes().split(b"\n")][-2].split(b" "))[1:2] != [b"run.ended"]:
    try:
        headers, rest = {"Last-Event-ID": last[0].decode()}, b""
        with api.get_httpx_client().stream("GET", path, headers=headers) as response:
            if response.status_code < 429:  # others go away
                response.raise_for_status()
            for piece in response.iter_bytes():
                *frames, rest = (rest + piece).split(b"\n\n")
                for frame in frames:
                    event = dict(line.split(b": ", 1) for line in frame.split(b"\n"))
                    if b"data" in event:
                        with file.open("ab") as output:
                            output.write(b"%(id)b %(event)b %(data)b\n" % event)
    except httpx.TransportError as error:
        print(error, file=sys.stderr)
    time.sleep(1)
