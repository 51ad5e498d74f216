"""`wfile` of our StreamRequestHandler does what that of the standard library does."""

from __future__ import annotations

import array
import copy
import io
import pickle
import socket
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_files import Trial, compare


class Text(bytes):
    """Bytes that tell a length of their own."""

    def __len__(self) -> int:
        return 100


# What may be written, and what may not.
DATA: list[Callable[[], Any]] = [
    lambda: b"",
    lambda: b"line\n",
    lambda: Text(b"abc"),
    lambda: bytearray(b"abc"),
    lambda: memoryview(b"abcdef")[2:4],
    lambda: memoryview(b"abcdef")[::2],
    lambda: memoryview(b"abcdefgh").cast("I"),
    lambda: memoryview(b"abcdefgh").cast("H", (2, 2)),
    lambda: array.array("d", [1.0, 2.0]),
    lambda: "text",
    lambda: None,
    lambda: 3,
    lambda: [b"x"],
]
WITHOUT_ARGUMENTS = """
    __del__ __enter__ __iter__ __next__ __repr__ _checkClosed _checkReadable _checkSeekable
    _checkWritable close detach fileno flush isatty read read1 readable readline readlines seekable
    tell truncate writable write
"""
CALLS: dict[str, list[tuple[Any, ...]]] = {
    **{name: [()] for name in WITHOUT_ARGUMENTS.split()},
    "__exit__": [(None, None, None)],
    "readinto": [(bytearray(2),)],
    "readinto1": [(bytearray(2),)],
    "seek": [(0,)],
    "write": [(b"x",), (b"",), ("x",), ()],
    "writelines": [([b"x", b"yz"],), ([],), ((b"x" for _ in ()),), ([b"x", "y"],)],
}
ATTRIBUTES = ["closed", "mode", "name", "raw", "nothing", "_sock"]


def call(trial: Trial, name: str, args: tuple[Any, ...]) -> None:
    """Call the method, and note what came of it, also at the peer."""
    trial.do(lambda: getattr(trial.wfile, name)(*args))
    look(trial)


def look(trial: Trial) -> None:
    trial.do(lambda: trial.peer.recv(100))
    trial.do(lambda: trial.wfile.fileno() == trial.connection.fileno())
    for name in ATTRIBUTES:
        trial.do(partial(getattr, trial.wfile, name))
    trial.done.append(("references", trial.connection._io_refs))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("earlier", ["", "write", "close", "flush", "connection", "peer"])
def test_each_method(name: str, earlier: str) -> None:
    def scenario(trial: Trial, index: int) -> None:
        trial.peer.setblocking(False)
        steps: dict[str, Callable[[], Any]] = {
            "": bool,
            "write": lambda: trial.wfile.write(b"first"),
            "close": trial.wfile.close,
            "flush": trial.wfile.flush,
            "connection": lambda: (trial.connection.close(), trial.rfile.close()),
            "peer": trial.peer.close,
        }
        trial.do(steps[earlier])
        for _ in range(2):
            call(trial, name, CALLS[name][index])
        trial.do(trial.finish)
        look(trial)

    for index in range(len(CALLS[name])):
        compare(scenario, index)


@pytest.mark.parametrize("make", DATA)
def test_what_is_written_and_its_length_in_bytes(make: Callable[[], Any]) -> None:
    def scenario(trial: Trial) -> None:
        trial.peer.setblocking(False)
        call(trial, "write", (make(),))
        trial.do(lambda: trial.wfile.write(b=make()))
        call(trial, "writelines", ([b"1", make()],))

    compare(scenario)


@settings(
    max_examples=100,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(CALLS)), st.integers(0, 3)) | st.binary(max_size=20),
        max_size=8,
    )
)
def test_any_operations_in_any_order(operations: list[Any]) -> None:
    def scenario(trial: Trial) -> None:
        trial.peer.setblocking(False)
        for operation in operations:
            if isinstance(operation, bytes):
                call(trial, "write", (operation,))
            else:
                name, index = operation
                call(trial, name, CALLS[name][index % len(CALLS[name])])

    compare(scenario)


def test_a_peer_that_takes_nothing_costs_the_time_and_then_an_error() -> None:
    def scenario(trial: Trial) -> None:
        trial.do(lambda: trial.wfile.write(bytes(10_000_000)))
        trial.do(trial.finish)
        trial.do(lambda: trial.wfile.closed)

    compare(scenario, timeout=0.02)
    compare(scenario, timeout=0)


def test_all_of_it_is_sent_though_it_takes_long() -> None:
    data = bytes(range(256)) * 20_000

    def scenario(trial: Trial) -> Any:
        received: list[bytes] = []
        thread = threading.Thread(
            target=lambda: received.extend(iter(lambda: trial.peer.recv(100_000), b""))
        )
        thread.start()
        trial.do(lambda: trial.wfile.write(data))
        trial.connection.shutdown(socket.SHUT_WR)
        thread.join()
        return b"".join(received) == data

    assert compare(scenario) is True


def test_other_files_stand_on_it() -> None:
    def scenario(trial: Trial) -> Any:
        with io.TextIOWrapper(trial.wfile, encoding="utf-8", write_through=True) as file:
            trial.do(lambda: print("Grüße", 3, file=file))
        trial.do(lambda: trial.wfile.closed)
        buffered: Any = io.BufferedWriter(trial.wfile)
        trial.do(lambda: buffered.write(b"abc"))
        trial.do(buffered.flush)
        return trial.peer.recv(100)

    assert compare(scenario) == "Grüße 3\n".encode()


def test_methods_can_be_replaced_and_are_called_by_the_others() -> None:
    def scenario(trial: Trial) -> list[str]:
        calls: list[str] = []
        wfile = trial.wfile
        wfile.mine = 1
        wfile.flush = lambda: calls.append("flush")
        trial.do(trial.finish)
        trial.do(lambda: wfile.closed)
        wfile.close = lambda: calls.append("close")
        trial.do(trial.finish)
        return [*calls]

    assert compare(scenario) == ["flush", "flush", "close"]


def test_an_error_of_a_flush_closes_it_all_the_same() -> None:
    def scenario(trial: Trial) -> None:
        def fail() -> None:
            raise OSError("full")

        trial.wfile.flush = fail
        trial.do(trial.finish)
        trial.do(lambda: (trial.wfile.closed, trial.rfile.closed))

    compare(scenario)


def test_it_can_be_referred_to_weakly_and_copied_but_not_pickled() -> None:
    def scenario(trial: Trial) -> Any:
        assert isinstance(trial.wfile, io.BufferedIOBase)
        assert weakref.ref(trial.wfile)() is trial.wfile
        for function in (copy.deepcopy, pickle.dumps):
            trial.do(partial(function, trial.wfile))  # type: ignore[operator]
        with pytest.raises(AttributeError):
            trial.wfile.closed = True
        twin = copy.copy(trial.wfile)
        trial.do(trial.wfile.close)
        trial.do(lambda: twin.write(b"twin"))
        trial.do(lambda: copy.copy(trial.wfile).closed)
        trial.do(lambda: twin.closed)
        return trial.peer.recv(100)

    assert compare(scenario) == b"twin"
