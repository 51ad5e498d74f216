"""Writes down what becomes of each test, and what is left when all have run."""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
import time
import unittest
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

# How long a test may take, in seconds.
_LIMIT = 30.0

# How long what was told to end may take, in seconds.
_PATIENCE = 5.0

_ErrorInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class OverdueError(AssertionError):
    """A test takes too long. No `OSError`, since the suites let many of those pass."""


class Recorder(unittest.TestResult):
    """Writes one line of JSON for each test, with its outcome.

    Args:
        descriptor: where to; written to directly, since what is buffered is copied by a fork.

    Attributes:
        outcomes: "passed", "failed", "skipped" or "not run", by the identifiers of the tests.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.outcomes: dict[str, str] = {}
        self._descriptor = descriptor
        self._details: list[str] = []
        self._started = time.monotonic()
        self._is_running = False
        signal.signal(signal.SIGALRM, _raise_overdue)

    def write(self, **record: object) -> None:
        """Write one line."""
        os.write(self._descriptor, json.dumps(record).encode() + b"\n")

    def leave_out(self, test: unittest.TestCase, reason: str) -> None:
        """Note that `test` is not run."""
        self.outcomes[identifier(test)] = "not run"
        self.write(test=identifier(test), outcome="not run", seconds=0.0, details=reason)

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - its name is unittest's
        """Begin to measure the time."""
        super().startTest(test)
        self._is_running = True
        self._started = time.monotonic()
        # Again and again, since the methods that clean up may wait as well.
        signal.setitimer(signal.ITIMER_REAL, _LIMIT, _LIMIT)

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        """Write the outcome."""
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        super().stopTest(test)
        if self._is_running:  # CPython 3.12.1 stops what is skipped without having started it
            self._is_running = False
            self._write_outcome(test)

    def addFailure(self, test: unittest.TestCase, err: _ErrorInfo) -> None:  # noqa: N802
        """Note that `test` has failed."""
        super().addFailure(test, err)
        self._note("failed", test, self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: _ErrorInfo) -> None:  # noqa: N802
        """Note that `test` has failed, or the preparation of its class or module."""
        super().addError(test, err)
        self._note("failed", test, self.errors[-1][1])

    def addSubTest(  # noqa: N802
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: _ErrorInfo | None
    ) -> None:
        """Note that a part of `test` has failed, if it has."""
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note("failed", test, (self.failures + self.errors)[-1][1])

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        """Note that `test` was skipped."""
        super().addSkip(test, reason)
        self._note("skipped", test, reason)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        """Note that `test`, which CPython expects to fail, has passed."""
        super().addUnexpectedSuccess(test)
        self._note("failed", test, "unexpected success")

    def _note(self, outcome: str, test: unittest.TestCase, details: str) -> None:
        if self.outcomes.get(identifier(test)) != "failed":
            self.outcomes[identifier(test)] = outcome
        self._details.append(details)
        if not self._is_running:  # a whole class or module was skipped, or failed to be prepared
            self._write_outcome(test)

    def _write_outcome(self, test: unittest.TestCase) -> None:
        name = identifier(test)
        outcome = self.outcomes.setdefault(name, "passed")
        seconds = round(time.monotonic() - self._started, 3)
        details, self._details = "".join(self._details), []
        self.write(test=name, outcome=outcome, seconds=seconds, details=details)


def what_is_left() -> list[str]:
    """The threads, the children and the files that the tests have left."""
    gc.collect()  # many of them drop a server instead of closing it
    deadline = time.monotonic() + _PATIENCE
    others = [each for each in threading.enumerate() if each is not threading.main_thread()]
    for each in others:
        each.join(max(0.0, deadline - time.monotonic()))
    left = [repr(each) for each in others if each.is_alive()]
    left += [repr(str(path)) for path in Path().iterdir()]
    try:
        child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return left
    return [*left, "a child process" if child is None else f"a zombie: {child}"]


def identifier(test: Any) -> str:
    """The name of a test without the package: module, class, method."""
    name: str = test.id()
    return name.removeprefix("test.")


def _raise_overdue(signum: int, frame: FrameType | None) -> None:
    raise OverdueError("the test takes too long")
