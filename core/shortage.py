"""What an accept loop does when accepting fails over and over: it pauses instead of spinning."""

from __future__ import annotations

import errno
import logging
import time

_logger = logging.getLogger("serverstrategy")

# accept(2): the process or the system has no descriptor or no memory left. The connection stays in
# the backlog, so the listener stays readable, and a loop without a pause spins.
_SHORT_OF = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

# A `get_request` that fails this often in a row may be broken for good. Or it does a handshake, and
# somebody scans the port: then others wait behind them, so the pause is a short one.
_FAILURES_IN_A_ROW = 100
_SHORT_PAUSE = 0.001

# A shortage is logged again after so many seconds without one. At the limit every connection that
# ends lets one in and the next one fails: that is one shortage, not many.
_APART = 10.0

PAUSE = 0.1
"""How long an acceptor leaves the listener alone after such a failure, in seconds."""


class Shortage:
    """Whether accepting is paused, because the last attempts have failed.

    Attributes:
        has_failed: whether the last attempt has.
    """

    def __init__(self) -> None:
        self.has_failed = False
        self._until = 0.0
        self._failures = 0
        self._last = -_APART

    def note(self, error: Exception) -> None:
        """Note that `get_request` raised `error`, and log it if the user should know.

        An `OSError` is no error of the server (the client went away, another process was faster),
        except where it says that something has run out; that is logged once.
        """
        if isinstance(error, BlockingIOError):
            return
        self.has_failed = True
        self._failures += 1
        now = time.monotonic()
        if isinstance(error, OSError) and error.errno in _SHORT_OF:
            if now - self._last > _APART:
                _logger.warning("accepting is paused until there is room again: %s", error)
            self._last = now
            self._until = now + PAUSE
            return
        if not isinstance(error, OSError):
            _logger.error("get_request failed, so nothing was accepted", exc_info=error)
        if self._failures >= _FAILURES_IN_A_ROW:
            self._until = now + _SHORT_PAUSE
        if self._failures == _FAILURES_IN_A_ROW:
            _logger.warning("accepting has failed %d times in a row: %s", self._failures, error)

    def over(self) -> None:
        """Note that a connection was accepted."""
        self.has_failed = False
        self._failures = 0
        self._until = 0.0

    def remaining(self) -> float:
        """How long to leave the listener alone from now on, in seconds; 0 if accepting is fine."""
        return max(0.0, self._until - time.monotonic()) if self._until else 0.0
