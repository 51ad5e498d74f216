"""Hearing of children while a hook of the server's own may wait for what their end gives back."""

from __future__ import annotations

import threading
from types import TracebackType

from .tasks import wait_until_threads_are_gone
from .waiter import Waiter
from .watched import Watched


class HookWait:
    """Checks what is watched, in a thread, from its `with` to `end`.

    A hook that takes a place may wait until one is given back. Where a child had the place, that
    happens when the child is reaped: by the thread that waits at the listener, which is the one
    that is in the hook.

    `end` comes before the strategy is called, so that no fork finds the thread. Where no thread
    or descriptor can be had, the hook waits as long as it does without.

    Args:
        watched: what to check: the exits of children, say.
    """

    def __init__(self, watched: tuple[Watched, ...]) -> None:
        self._watched = watched
        self._has_ended = False
        self._waiter: Waiter | None = None
        self._thread = threading.Thread(target=self._check, name="hook wait", daemon=True)

    def end(self) -> None:
        """Stop checking, and wait for the thread. May be called again."""
        self._has_ended = True
        waiter = self._waiter
        if waiter is None:
            return
        waiter.wake()
        if self._thread.is_alive():
            self._thread.join()
            wait_until_threads_are_gone()
        self._waiter = None
        waiter.close()

    def _check(self) -> None:
        waiter = self._waiter
        while waiter is not None and not self._has_ended:
            waiter.wait_beside(self._watched, None)

    def __enter__(self) -> HookWait:
        try:
            self._waiter = Waiter()
            self._thread.start()
        except (OSError, RuntimeError):
            self.end()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()
