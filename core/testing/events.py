"""What the processes of a server tell the process that checks it."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]

# How often to look for what has come, in seconds.
_INTERVAL = 0.002


class Events:
    """A log to which any number of processes append, and which one of them reads.

    A file without a name, and not a pipe, so that nobody who writes ever waits for the reader.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        fd = self._file.fileno()
        # POSIX: with O_APPEND, no other write comes between the seek and the write.
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
        self._position = 0
        self._rest = b""
        self.seen: list[Event] = []

    def tell(self, event: str, **fields: Any) -> None:
        """Append an event. From any process or thread."""
        thread = threading.get_ident()
        where = {
            "pid": os.getpid(),
            "thread": thread,
            "main": thread == threading.main_thread().ident,
            "time": time.monotonic(),
        }
        record = {"event": event, **where, **fields}
        os.write(self._file.fileno(), json.dumps(record).encode() + b"\n")

    def update(self) -> list[Event]:
        """Read what has come; return all events so far."""
        data = os.pread(self._file.fileno(), 1 << 20, self._position)
        self._position += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.seen += map(json.loads, lines)
        return self.seen

    def select(self, event: str, **fields: Any) -> list[Event]:
        """The events of that name with these fields."""
        wanted = {"event": event, **fields}.items()
        return [each for each in self.update() if wanted <= each.items()]

    def ports(self, event: str) -> set[int]:
        """The client ports of the events of that name."""
        return {each["port"] for each in self.select(event)}

    def places(self, event: str) -> dict[int, tuple[int, int]]:
        """The process and the thread of the events of that name, by client port."""
        return {each["port"]: (each["pid"], each["thread"]) for each in self.select(event)}

    def wait(self, condition: Callable[[], object], patience: float) -> bool:
        """Look until `condition()` is true, at most `patience` seconds; return whether it is."""
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(_INTERVAL)
        return True

    def wait_until_quiet(self, quiet: float, patience: float) -> None:
        """Wait until nothing has come for `quiet` seconds, at most `patience` seconds."""
        deadline = time.monotonic() + patience
        number, since = -1, time.monotonic()
        while time.monotonic() < min(deadline, since + quiet):
            if len(self.update()) != number:
                number, since = len(self.seen), time.monotonic()
            time.sleep(_INTERVAL)

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()
