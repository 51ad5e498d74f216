"""`rfile` of our StreamRequestHandler with several threads, and with signals amid a read."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from probes import PATIENCE, wait_until
from serverstrategy import stream_reader
from stream_files import OURS, Trial, compare, outcome


def blocked(thread: threading.Thread) -> bool:
    """Whether it waits in one of the two functions that wait for the peer."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None or frame.f_code.co_name not in ("readinto", "readline"):
        return False
    status = Path(f"/proc/self/task/{thread.native_id}/stat").read_text(encoding="ascii")
    return status.rpartition(")")[2].split()[0] == "S"


def in_thread(call: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Run it in a thread; what it returns or raises comes into the list."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(outcome(call)))
    thread.start()
    return thread, results


def reading(trial: Trial) -> tuple[threading.Thread, list[Any]]:
    """A thread that waits for the first line."""
    thread, results = in_thread(trial.rfile.readline)
    wait_until(lambda: blocked(thread), PATIENCE)
    return thread, results


def join(thread: threading.Thread) -> None:
    thread.join(PATIENCE)
    assert not thread.is_alive()


# Threads


@pytest.mark.parametrize("name", ["readline", "peek", "read1", "__next__"])
def test_a_second_thread_waits_until_the_first_has_its_line(name: str) -> None:
    def scenario(trial: Trial) -> Any:
        first, line = reading(trial)
        second, more = in_thread(getattr(trial.rfile, name))
        for piece in (b"o", b"n", b"e\n"):
            wait_until(lambda: not select.select([trial.connection], [], [], 0)[0], PATIENCE)
            trial.send(piece)
        join(first)
        # Not at once: the standard library loses the beginning of a line that has come with the end
        # of the one before, if another thread waits for it.
        trial.send(b"two\n")
        join(second)
        return line, more

    compare(scenario)


def test_what_does_not_read_does_not_wait() -> None:
    def scenario(trial: Trial, pieces: list[bytes]) -> Any:
        thread, line = reading(trial)
        for name in ("isatty", "readable", "seekable", "writable", "flush"):
            trial.read(name)
        trial.do(lambda: trial.rfile.fileno() == trial.connection.fileno())
        for attribute in ("closed", "mode", "raw"):
            trial.do(lambda: getattr(trial.rfile, attribute))  # noqa: B023 - called at once
        assert blocked(thread)
        for piece in pieces:
            trial.send(piece)
        join(thread)
        trial.connection.settimeout(0)
        trial.read("peek")
        return line

    for pieces in ([b"line\n"], [b"one\ntwo\n"], [b"one\n", b"two"]):
        compare(scenario, pieces)


def test_closing_waits_for_the_line() -> None:
    def scenario(trial: Trial) -> Any:
        trial.do(trial.connection.close)
        thread, line = reading(trial)
        closing, closed = in_thread(trial.rfile.close)
        closing.join(0.05)
        trial.do(closing.is_alive)
        trial.send(b"line\n")
        join(thread)
        join(closing)
        trial.do(trial.connection.fileno)
        trial.read("readline")
        return line + closed

    assert compare(scenario) == [("returns", b"line\n"), ("returns", None)]


def test_a_time_that_is_up_in_one_thread_is_up_in_the_other() -> None:
    def scenario(trial: Trial) -> Any:
        first, line = reading(trial)
        trial.do(lambda: trial.rfile.raw._timeout_occurred)
        join(first)
        trial.do(lambda: trial.rfile.raw._timeout_occurred)
        trial.send(b"line\n")
        trial.read("readline")
        return line

    compare(scenario, timeout=0.3)


def test_threads_that_ask_for_raw_at_once_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    found: list[Any] = []

    class Slow(socket.SocketIO):
        def __init__(self, *args: Any) -> None:
            made.append(self)
            wait_until(lambda: len(made) == 2, 0.1)
            super().__init__(*args)

    with Trial(OURS) as trial:
        monkeypatch.setattr(socket, "SocketIO", Slow)
        threads = [in_thread(lambda: found.append(trial.rfile.raw))[0] for _ in range(2)]
        for thread in threads:
            join(thread)
        assert found == made * 2
        assert trial.connection._io_refs == 1


def test_a_child_does_not_wait_for_a_thread_that_it_does_not_have() -> None:
    program = """
import os, socket, threading
from serverstrategy import stream_reader
ours, peer = socket.socketpair()
reader = stream_reader.DirectReader(ours)
held = threading.Event()
def hold():
    with stream_reader._making_raw:
        held.set()
        threading.Event().wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    reader.raw
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)


def test_raw_that_is_closed_amid_a_read_by_another_thread() -> None:
    def scenario(trial: Trial) -> Any:
        thread, line = reading(trial)
        trial.do(trial.rfile.raw.close)
        trial.send(b"part")
        join(thread)
        trial.read("read")
        trial.do(trial.finish)
        trial.do(lambda: trial.connection._io_refs)
        return line[0][0]

    assert compare(scenario) == "ValueError"


# Signals


@contextlib.contextmanager
def handling(handler: Callable[..., Any]) -> Iterator[None]:
    """Have the handler called for SIGUSR1, as soon as this thread waits for the peer."""
    main = threading.main_thread()

    def send() -> None:
        wait_until(lambda: blocked(main), PATIENCE)
        signal.pthread_kill(main.ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        join(sender)
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError, OSError, ValueError])
@pytest.mark.parametrize("sent", [b"", b"part", b"line\n"])
@pytest.mark.parametrize("name", ["readline", "read", "__next__"])
def test_a_signal_handler_that_raises_amid_a_read(name: str, sent: bytes, error: Any) -> None:
    def handler(*_: object) -> None:
        raise error

    def scenario(trial: Trial) -> None:
        trial.send(sent)
        if sent == b"line\n":
            trial.read("readline")
        with handling(handler):
            trial.read(name)
        trial.send(b"more\nand more")
        trial.read("readline")
        trial.connection.settimeout(0)
        trial.read("read")
        trial.do(lambda: trial.rfile.raw._timeout_occurred)
        trial.do(trial.finish)

    compare(scenario)


@pytest.mark.parametrize("sent", [b"", b"part of a "])
@pytest.mark.parametrize("name", ["readline", "read1", "peek", "close", "__next__"])
def test_a_signal_handler_that_reads_or_closes_amid_a_read(name: str, sent: bytes) -> None:
    def scenario(trial: Trial) -> None:
        def handler(*_: object) -> None:
            trial.read(name)
            trial.send(b"line\n")

        trial.send(sent)
        with handling(handler):
            trial.read("readline")
        trial.send(b"one\ntwo\n")
        trial.read("readline")
        trial.read("readline")

    compare(scenario)


def test_ctrl_c_at_any_line_loses_no_more_than_the_line_that_was_read() -> None:
    interrupted = 0
    for count in range(1, 100):
        with Trial(OURS) as trial:
            trial.send(b"one\ntwo\n")
            line = interrupt(lambda: trial.rfile.readline(), count)
            trial.send(b"three\n")
            trial.peer.shutdown(1)
            rest = trial.rfile.read()
            if line is None:
                interrupted += 1
                assert rest in (b"two\nthree\n", b"one\ntwo\nthree\n"), count
            else:
                assert line + rest == b"one\ntwo\nthree\n"
            trial.finish()
            assert trial.connection._io_refs == 0, count
            trial.connection.close()
            assert trial.connection.fileno() == -1
        if line is not None:
            break
    assert interrupted > 20


def interrupt(call: Callable[[], bytes], count: int) -> bytes | None:
    """Raise KeyboardInterrupt at that line of the reader's file; None if it was reached."""
    left = count

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename != stream_reader.__file__:
            return None
        left -= event == "line"
        if left == 0:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return call()
    except KeyboardInterrupt:
        return None
    finally:
        sys.settrace(before)
