"""The load generator, against servers that answer rightly, wrongly or not at all."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serverstrategy.compare.load import AbandonedError, Load

Peer = Callable[[socket.socket], object]


@contextmanager
def listener(handle: Peer | None) -> Iterator[int]:
    """A listener whose one thread gives each connection to `handle`; None never accepts."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            assert handle is not None
            while True:
                client, _ = server.accept()
                with client:
                    if handle(client) is STOP:
                        return

        thread = threading.Thread(target=serve)
        if handle is not None:
            thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            if handle is not None:
                with socket.create_connection(server.getsockname(), timeout=5) as last:
                    last.sendall(b"stop\n")
                thread.join(10)
                assert not thread.is_alive()


STOP = object()


def answering(answer: Callable[[bytes], bytes]) -> Peer:
    def handle(client: socket.socket) -> object:
        client.settimeout(5)
        line = client.recv(100)
        if line == b"stop\n":
            return STOP
        client.sendall(answer(line))
        return None

    return handle


def test_every_connection_of_a_right_server_completes() -> None:
    with listener(answering(lambda line: line)) as port:
        outcome = Load(port, concurrency=4, duration=0.2).run()
    assert not outcome.errors
    assert outcome.completed == len(outcome.latencies) > 20
    assert 0 < outcome.completed_in_time <= outcome.completed
    assert all(0 < latency < 5 for latency in outcome.latencies)


def test_an_answer_in_pieces_is_put_together() -> None:
    def handle(client: socket.socket) -> object:
        client.settimeout(5)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        line = client.recv(100)
        if line == b"stop\n":
            return STOP
        for number in range(len(line)):
            client.sendall(line[number : number + 1])
        return None

    with listener(handle) as port:
        outcome = Load(port, concurrency=2, duration=0.1).run()
    assert outcome.completed > 0
    assert not outcome.errors


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(lambda line: b"line 0\n", "wrong reply", id="another's answer"),
        pytest.param(lambda line: line + b"x", "wrong reply", id="too much"),
        pytest.param(lambda line: line[:-1], "closed early", id="too little"),
        pytest.param(lambda line: b"", "closed early", id="nothing"),
    ],
)
def test_a_wrong_answer_is_an_error(answer: Callable[[bytes], bytes], kind: str) -> None:
    with listener(answering(answer)) as port:
        outcome = Load(port, concurrency=2, duration=0.1).run()
    assert outcome.completed == 0
    assert set(outcome.errors) == {kind}


def test_a_reset_is_an_error() -> None:
    def handle(client: socket.socket) -> object:
        client.settimeout(5)
        if client.recv(100) == b"stop\n":
            return STOP
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return None

    with listener(handle) as port:
        outcome = Load(port, concurrency=2, duration=0.1).run()
    assert outcome.completed == 0
    assert set(outcome.errors) == {"reset"}


def test_a_hung_server_is_errors_within_the_timeout() -> None:
    with listener(None) as port:
        outcome = Load(port, concurrency=3, duration=0.05, reply_timeout=0.2).run()
    assert outcome.completed == 0
    assert outcome.errors == {"timeout": 3}


def test_a_server_that_is_gone_is_not_hammered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = Load(port, concurrency=2, duration=0.2).run()
    assert set(outcome.errors) == {"refused"}
    assert outcome.errors["refused"] <= 2 * 22  # two a tick of 10 ms


def test_the_load_ends_when_its_lifeline_is_cut() -> None:
    reading, writing = os.pipe()
    try:
        threading.Timer(0.1, os.close, [writing]).start()
        with listener(answering(lambda line: line)) as port, pytest.raises(AbandonedError):
            Load(port, concurrency=2, duration=30, lifeline=reading).run()
    finally:
        os.close(reading)


def test_no_socket_is_left_open() -> None:
    before = set(Path("/dev/fd").iterdir())
    with listener(None) as port:
        Load(port, concurrency=5, duration=0.05, reply_timeout=0.1).run()
    assert set(Path("/dev/fd").iterdir()) == before
