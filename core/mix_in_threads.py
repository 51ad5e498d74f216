"""The threads that `socketserver.ThreadingMixIn` makes where a class calls it by its name."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from .handling import Handling


class MixInThreads:
    """The `_threads` of an adopted server: sends connections to the strategy instead of threads.

    `ThreadingMixIn.process_request(self, request, client_address)`, called past us, makes a thread
    for `process_request_thread`, appends it here, and starts it.

    Args:
        before: what the server had there: its threads of the time before, or None.
    """

    def __init__(self, before: Any) -> None:
        self._before = before

    def append(self, thread: threading.Thread) -> None:
        """Have `thread.start` hand the connection to the strategy."""
        target: Any = getattr(thread, "_target", None)
        server = getattr(target, "__self__", None)
        if isinstance(server, Handling):
            arguments: tuple[Any, ...] = thread._args  # type: ignore[attr-defined]
            hand_over = partial(Handling.process_request, server, *arguments)
            thread.start = hand_over  # type: ignore[method-assign]

    def join(self) -> None:
        """Wait for the threads of the time before; `server_close` waits for all the others."""
        if self._before is not None:
            self._before.join()

    def __len__(self) -> int:
        return 0 if self._before is None else len(self._before)
