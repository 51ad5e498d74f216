"""What every test must leave behind: nothing."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from judging import Case, judge_all
from probes import wait_until
from serverstrategy.testing import Outcome

# A shell ignores Ctrl-C for what it runs in the background, and the programs that the tests start
# would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Who runs the tests side by side, or in a shell that exports it, gives a width to what is piped.
os.environ.pop("COLUMNS", None)


def _descriptors() -> set[str]:
    """The open descriptors with what they are, without the one that lists them."""
    found = set()
    folder = Path("/proc/self/fd")
    for entry in folder.iterdir() if folder.is_dir() else []:
        # FileNotFoundError: it was the one that lists them.
        with contextlib.suppress(FileNotFoundError):
            found.add(f"{entry.name} -> {entry.readlink()}")
    return found


def _children() -> set[int]:
    """The pids of all descendants, and of zombies."""
    try:
        # Looks without reaping; most of the time there is no child at all, and this costs nothing.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[Case, list[Outcome]]:
    """Those of all cases that are parameters of this module's tests, as far as they are to run."""
    items = [each for each in request.session.items if each.path == request.path]
    params = [item.callspec.params for item in items if hasattr(item, "callspec")]
    return judge_all(each["case"] for each in params if "case" in each)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fail the test that leaves a thread, a child, a zombie or a descriptor."""
    descriptors = _descriptors()
    threads = set(threading.enumerate())
    children = _children()
    yield

    def left() -> list[object]:
        return [
            *(_descriptors() - descriptors),
            *(thread for thread in threading.enumerate() if thread not in threads),
            *(_children() - children),
        ]

    # A thread that was told to end may need a moment; what leaks stays.
    if left():
        gc.collect()
        wait_until(lambda: not left(), 2.0)
    assert left() == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a Unix server may have its socket: nothing is there."""
    return tmp_path / "server"


@pytest.fixture(params=["udp", "unixgram"])
def datagrams(request: pytest.FixtureRequest, path: Path) -> dict[str, Any]:
    """The options that make a probe a datagram server, of each of the two kinds."""
    if request.param == "udp":
        return {"family": "udp"}
    return {"family": request.param, "address": str(path)}
