"""Event streams: what streams wait for, and how they are woken.

A stream reads rows like every other client. When it has read all of them, it waits for its topic: a
run, or the changes of a user. A write of the same process wakes the topic's streams after its
commit; the writes of other processes are found by one statement a few times per second, for all
topics together. Waiting streams hold neither a thread nor a database connection. docs/live.md shows
the mechanism.
"""

from agent_api.live.hub import Hub
from agent_api.live.streams import follow
from agent_api.live.watching import watch

__all__ = ["Hub", "follow", "watch"]
