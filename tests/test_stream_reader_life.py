"""`rfile` of our StreamRequestHandler: what it is, and how long it and its connection live."""

from __future__ import annotations

import copy
import io
import pickle
import socket
import struct
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from serverstrategy.stream_reader import DirectReader, StreamReader
from stream_files import OURS, THEIRS, Trial, compare, text

# What it is


def test_it_is_a_buffered_reader_from_the_beginning() -> None:
    with Trial(OURS) as trial:
        for kind in (io.BufferedReader, io.BufferedIOBase, io.IOBase):
            assert isinstance(trial.rfile, kind)


def test_a_line_alone_needs_no_buffer_and_the_rest_of_one_does() -> None:
    with Trial(OURS) as trial:
        for size in (-1, 6, 100):
            trial.send(b"line\n")
            assert trial.rfile.readline(size) == b"line\n"
            assert type(trial.rfile) is DirectReader
        trial.send(b"one\ntwo\n")
        assert trial.rfile.readline() == b"one\n"
        assert type(trial.rfile) is StreamReader
        assert trial.rfile.peek() == b"two\n"


def test_raw_is_what_it_was() -> None:
    def scenario(trial: Trial, sent: bytes) -> Any:
        trial.send(sent)
        trial.read("readline")
        raw = trial.rfile.raw
        assert type(raw) is socket.SocketIO
        assert trial.rfile.raw is raw
        return {name: text(value) for name, value in vars(raw).items()}

    for sent in (b"line\n", b"one\ntwo"):
        assert "_sock" in compare(scenario, sent)


def test_methods_that_were_looked_up_first_go_on() -> None:
    def scenario(trial: Trial) -> None:
        methods = [getattr(trial.rfile, name) for name in ("readline", "peek", "read1", "close")]
        for sent in (b"line\n", b"one\ntwo\n", b"three\n"):
            trial.send(sent)
            for method in methods[:3]:
                trial.do(method)
        trial.do(methods[3])
        trial.do(methods[3])
        trial.do(methods[0])

    compare(scenario, timeout=0)


def test_attributes_can_be_set_and_methods_replaced() -> None:
    def scenario(trial: Trial) -> None:
        rfile = trial.rfile
        kept = rfile.readline
        rfile.mine = 1
        rfile.readline = lambda *_: kept().upper()
        trial.send(b"line\n")
        trial.read("readline")
        for sent in (b"next\n", b"one\ntwo\n", b"three\n"):
            trial.send(sent)
            if sys.version_info >= (3, 12):  # before, it does without what is replaced
                trial.do(lambda: next(rfile))
            trial.read("readline")
        trial.do(lambda: rfile.mine)
        for name in ("raw", "closed", "name", "mode"):
            with pytest.raises(AttributeError):
                setattr(rfile, name, None)

    compare(scenario, timeout=0)


def test_it_can_be_referred_to_weakly_and_neither_be_copied_nor_pickled() -> None:
    for sent in (b"line\n", b"one\ntwo\n"):
        with Trial(OURS) as trial:
            trial.send(sent)
            trial.rfile.readline()
            assert weakref.ref(trial.rfile)() is trial.rfile
            for call in (copy.copy, copy.deepcopy, pickle.dumps):
                with pytest.raises(TypeError, match="cannot pickle"):
                    call(trial.rfile)


@pytest.mark.parametrize("sent", [b"line\n", b"one\ntwo\n", b"\xc3\xa4\r\nb"])
def test_other_files_stand_on_it(sent: bytes) -> None:
    def scenario(trial: Trial) -> None:
        trial.send(sent)
        text_file = io.TextIOWrapper(trial.rfile, encoding="utf-8")
        trial.do(text_file.readline)
        trial.send(b"more\nand")
        trial.peer.shutdown(socket.SHUT_WR)
        trial.do(lambda: text_file.read(1))
        buffered = io.BufferedReader(text_file.detach())
        trial.do(buffered.readline)
        pair = io.BufferedRWPair(buffered.detach(), trial.wfile)
        trial.do(lambda: pair.read(2))
        trial.do(lambda: list(trial.rfile))

    compare(scenario)


# The connection below it


def test_a_time_that_is_up_is_never_forgotten() -> None:
    def scenario(trial: Trial, before: bytes, name: str) -> None:
        trial.send(before)
        trial.read("readline")
        trial.read(name, *[10][: name != "__next__"])
        trial.send(b"line\nmore")
        trial.read("readline")
        trial.do(lambda: trial.rfile.raw._timeout_occurred)
        trial.read("read1")
        trial.do(trial.finish)

    for before in (b"", b"part", b"line\n", b"one\ntwo"):
        for name in ("readline", "read", "read1", "peek", "__next__"):
            compare(scenario, before, name, timeout=0.01)


def test_a_socket_that_gives_up_by_itself_is_not_waited_for_again() -> None:
    def scenario(trial: Trial) -> None:
        # The option of the system, of which Python knows nothing: seconds and microseconds.
        trial.connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 10_000)
        )
        trial.read("readline")
        if type(trial.rfile) is not io.BufferedReader:
            assert type(trial.rfile) is DirectReader  # which has asked no second time
        trial.send(b"line\n")
        trial.read("readline")

    compare(scenario)


def test_errors_of_the_connection() -> None:
    def tcp_pair() -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            peer = socket.create_connection(listener.getsockname())
            return listener.accept()[0], peer

    def reset(trial: Trial) -> None:
        trial.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        trial.peer.close()
        for _ in range(3):
            trial.read("readline")

    def shut(trial: Trial) -> None:
        trial.send(b"line\n")
        trial.connection.shutdown(socket.SHUT_RD)
        for _ in range(3):
            trial.read("readline")

    def detached(trial: Trial) -> None:
        with socket.socket(fileno=trial.connection.detach()):
            for name in ("readline", "fileno", "readline", "close"):
                trial.read(name)

    for scenario in (reset, shut, detached):
        compare(scenario, kind=tcp_pair)


@pytest.mark.parametrize("sent", [b"", b"line\n", b"one\ntwo\n"])
@pytest.mark.parametrize("first", ["connection", "rfile", "wfile"])
@pytest.mark.parametrize("second", ["connection", "rfile", "wfile", "raw", "__del__"])
def test_the_last_one_closes_the_connection(sent: bytes, first: str, second: str) -> None:
    def scenario(trial: Trial) -> None:
        def look() -> None:
            trial.do(lambda: trial.connection.fileno() == -1)
            trial.do(lambda: trial.peer.recv(1))
            trial.do(lambda: trial.wfile.write(b"x"))
            trial.do(lambda: trial.peer.recv(1))
            trial.read("readline")

        close: dict[str, Callable[[], Any]] = {
            "connection": trial.connection.close,
            "rfile": trial.rfile.close,
            "wfile": trial.wfile.close,
            "raw": lambda: trial.rfile.raw.close(),
            "__del__": lambda: trial.rfile.__del__(),
        }
        trial.peer.setblocking(False)
        trial.send(sent)
        trial.do(lambda: trial.rfile.readline() if sent else None)
        for name in (first, second, first, second):
            trial.do(close[name])
            look()
        trial.do(trial.finish)
        trial.do(trial.request.close)
        look()

    compare(scenario, timeout=0)


@pytest.mark.parametrize("sent", [b"", b"line\n", b"one\ntwo\n", b"raw"])
def test_one_that_is_dropped_gives_the_connection_back(sent: bytes) -> None:
    def scenario(trial: Trial) -> None:
        trial.send(sent)
        if sent == b"raw":
            trial.do(lambda: trial.rfile.raw)
        elif sent:
            trial.read("readline")
        gone = weakref.ref(trial.rfile)
        trial.handler.rfile = io.BytesIO(b"mine\n")
        assert gone() is None
        trial.do(lambda: trial.connection._io_refs)
        trial.read("readline")
        trial.do(trial.finish)
        trial.do(lambda: trial.rfile.closed)
        trial.do(trial.request.close)
        trial.do(lambda: trial.request.fileno())

    compare(scenario)


def test_nothing_keeps_a_connection_that_was_closed() -> None:
    for base in (THEIRS, OURS):
        for name in ("readline", "peek", "fileno", "close"):
            with Trial(base) as trial:
                trial.send(b"one\ntwo\n")
                trial.read(name)
                rfile, wfile = trial.rfile, trial.wfile
                trial.finish()
                gone = weakref.ref(trial.request)
                trial.request.close()
                trial.handler.connection = trial.handler.request = trial.request = None
                wfile._sock = None
                assert gone() is None
                assert rfile.closed
