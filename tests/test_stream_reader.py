"""`rfile` of our StreamRequestHandler does what that of the standard library does."""

from __future__ import annotations

import copy
import io
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serverstrategy.stream_reader import DirectReader
from stream_files import OURS, Trial, compare, outcome

BUFFER = io.DEFAULT_BUFFER_SIZE

# What may be asked of any file that is read, and its arguments.
CALLS: dict[str, list[tuple[Any, ...]]] = {
    "__enter__": [()],
    "__exit__": [(None, None, None)],
    "__iter__": [()],
    "__next__": [()],
    "__repr__": [()],
    "close": [()],
    "detach": [()],
    "fileno": [()],
    "flush": [()],
    "isatty": [()],
    "peek": [(), (0,), (1,), (-1,), (3 * BUFFER,), ("x",)],
    "read": [(), (None,), (-1,), (0,), (1,), (5,), (3 * BUFFER,), (-2,), (1.5,)],
    "read1": [(), (-1,), (0,), (1,), (5,), (3 * BUFFER,), (None,)],
    "readable": [()],
    "readinto": [(bytearray(0),), (bytearray(4),), (bytearray(3 * BUFFER),), (b"1",), ()],
    "readinto1": [(bytearray(0),), (bytearray(4),), (bytearray(3 * BUFFER),), (b"1",)],
    "readline": [
        *[(), (None,), (-1,), (-2,), (0,), (1,), (2,), (6,), (7,), (3 * BUFFER,), (True,)],
        *[(2**70,), (-(2**70),), ("x",), (1.5,)],
    ],
    "readlines": [(), (None,), (-1,), (0,), (1,), (8,)],
    "seek": [(0,), (3,), (0, 2), (0, 9), ()],
    "seekable": [()],
    "tell": [()],
    "truncate": [(), (0,)],
    "writable": [()],
    "write": [(b"x",)],
    "writelines": [([b"x"],), ([],)],
    "_checkClosed": [()],
    "_checkReadable": [()],
    "_checkSeekable": [()],
    "_checkWritable": [()],
    "__reduce_ex__": [(2,)],
}
ATTRIBUTES = ["closed", "mode", "name", "raw", "nothing", "__class__", "_finalizing"]
LINES = [b"", b"\n", b"line\n", b"part", b"one\ntwo\n", b"one\ntw", b"\n\n", b"x" * BUFFER + b"\ny"]

ONE = [(name, args) for name, several in CALLS.items() for args in several]


def call(trial: Trial, name: str, args: tuple[Any, ...]) -> None:
    """Call the method, and note what it returned and what it has put into its argument."""
    args = tuple(copy.copy(each) if isinstance(each, bytearray) else each for each in args)
    trial.read(name, *args)
    trial.done.append(("arguments", args))


def look(trial: Trial) -> None:
    """Note all that can be seen of the file and the connection, without reading from the file."""
    for name in ATTRIBUTES:
        trial.do(partial(getattr, trial.rfile, name))
    trial.do(lambda: trial.rfile.fileno() == trial.connection.fileno())
    trial.done.append(("references", trial.connection._io_refs))
    trial.done.append(("connection", str(trial.connection)[:22]))


def read_out(trial: Trial) -> None:
    """Note what is left in the file, and below it."""
    trial.connection.settimeout(0)
    trial.read("peek")
    trial.read("read")
    trial.do(lambda: trial.connection.recv(100))


# One operation, or two


@pytest.mark.parametrize("end", [False, True], ids=["open", "ended"])
@pytest.mark.parametrize("name", CALLS)
def test_each_method_at_first(name: str, end: bool) -> None:
    def scenario(trial: Trial, sent: bytes, args: tuple[Any, ...]) -> None:
        trial.send(sent)
        if end:
            trial.peer.shutdown(socket.SHUT_WR)
        call(trial, name, args)
        look(trial)
        read_out(trial)

    for sent in LINES:
        for args in CALLS[name]:
            compare(scenario, sent, args, timeout=None if end else 0)


@pytest.mark.parametrize("name", CALLS)
def test_each_method_after_a_line(name: str) -> None:
    def scenario(trial: Trial, sent: bytes, args: tuple[Any, ...]) -> None:
        trial.send(sent)
        trial.read("readline")
        call(trial, name, args)
        trial.send(b"next\n")
        call(trial, name, args)
        look(trial)
        read_out(trial)

    for sent in (b"line\n", b"line\nmore", b"part"):
        for args in CALLS[name]:
            compare(scenario, sent, args, timeout=0)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("earlier", ["readline", "read1", "fileno", "close", "detach", "raw"])
def test_each_method_once_it_is_closed_or_detached(name: str, earlier: str) -> None:
    def scenario(trial: Trial, args: tuple[Any, ...]) -> None:
        trial.send(b"line\n")
        kept = trial.rfile.raw if earlier == "raw" else getattr(trial.rfile, earlier)()
        trial.do(trial.rfile.close)
        for _ in range(2):
            call(trial, name, args)
            look(trial)
        del kept

    for args in CALLS[name]:
        compare(scenario, args, timeout=0)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_each_attribute_at_first(name: str) -> None:
    def scenario(trial: Trial) -> None:
        trial.do(lambda: getattr(trial.rfile, name))
        trial.send(b"line\n")
        trial.read("readline")
        read_out(trial)
        look(trial)

    compare(scenario)


def test_no_part_of_the_base_class_is_reached_before_it_is_initialized() -> None:
    """A newer Python may have more methods than there are above."""
    for name in dir(io.BufferedReader):
        with Trial(OURS, timeout=0) as trial:
            assert type(trial.rfile) is DirectReader
            assert "uninitialized" not in str(outcome(partial(getattr, trial.rfile, name)))
            trial.read(name)
            assert "uninitialized" not in str(trial.done)


# Many operations


DATA = st.sampled_from(
    [*LINES, b"a", b"x" * (BUFFER - 1), b"x" * BUFFER, b"x" * (BUFFER - 1) + b"\n", b"y\n" * BUFFER]
)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), DATA),
        st.tuples(st.just("send"), DATA),
        st.tuples(st.sampled_from(["readline", "read", "read1", "peek"]), st.integers(-1, 12)),
        st.tuples(st.sampled_from(["readline", "read", "read1"]), st.integers(0, 3 * BUFFER)),
        st.tuples(st.just("readline"), st.just(-1)),
        st.sampled_from(ONE),
        st.tuples(st.just("attribute"), st.sampled_from(ATTRIBUTES)),
        st.tuples(st.just("timeout"), st.sampled_from([0, 0.001])),
        st.tuples(st.just("raw"), st.sampled_from([0, 3, 3 * BUFFER])),
        st.tuples(st.just("recv"), st.sampled_from([1, 3, 3 * BUFFER])),
        st.sampled_from([("end", ()), ("close connection", ()), ("close raw", ()), ("look", ())]),
    ),
    max_size=14,
)


def operate(trial: Trial, name: str, argument: Any) -> None:
    """Do one operation of the random ones."""
    steps: dict[str, Callable[[], Any]] = {
        "send": lambda: trial.peer.send(argument),
        "attribute": lambda: getattr(trial.rfile, argument),
        "timeout": lambda: trial.connection.settimeout(argument),
        "raw": lambda: trial.rfile.raw.read(argument),
        "recv": lambda: trial.connection.recv(argument),
        "end": lambda: trial.peer.shutdown(socket.SHUT_WR),
        "close connection": lambda: trial.connection.close(),
        "close raw": lambda: trial.rfile.raw.close(),
        "look": lambda: look(trial),
    }
    if name in steps:
        trial.do(steps[name])
    else:
        call(trial, name, argument if isinstance(argument, tuple) else (argument,))


@settings(
    max_examples=400,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(OPERATIONS, st.sampled_from([0, 0.001]))
def test_any_operations_in_any_order(operations: list[tuple[str, Any]], timeout: float) -> None:
    def scenario(trial: Trial) -> None:
        trial.peer.setblocking(False)
        for name, argument in operations:
            operate(trial, name, argument)
        look(trial)
        trial.do(trial.finish)
        look(trial)

    compare(scenario, timeout=timeout)
