"""The signal handlers of a child: the program's own, also where they were put off amid the fork."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from probes import PATIENCE
from serverstrategy import BaseRequestHandler, TCPServer
from serverstrategy.strategies import Forking
from serverstrategy.strategies._children import Children

before_a_fork: list[Callable[[], object]] = []
in_a_child: list[Callable[[], object]] = []
os.register_at_fork(
    before=lambda: [before_a_fork.pop()() for _ in before_a_fork[:1]],
    after_in_child=lambda: [each() for each in in_a_child],
)


def on_sigterm(*_: object) -> None:
    """Stands for the handler of a program."""


def is_the_programs() -> int:
    return int(signal.getsignal(signal.SIGTERM) is on_sigterm)


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, on_sigterm)
    yield
    before_a_fork.clear()
    in_a_child.clear()
    signal.signal(signal.SIGTERM, before)


def status_of(main: Callable[[], int]) -> int:
    """The status of a child that calls `main`."""
    statuses: list[int] = []
    children = Children()
    children.fork(main, lambda _: None, lambda _, status: statuses.append(status))
    assert children.wait(PATIENCE)
    children.close()
    return statuses[0]


def test_what_a_hook_of_the_program_sets_in_the_child_stays() -> None:
    in_a_child.append(lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    assert status_of(lambda: int(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)) == 1
    assert is_the_programs()


def test_the_child_that_another_thread_forks_meanwhile_has_them() -> None:
    statuses: list[int] = []

    def fork() -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(is_the_programs())
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    def fork_in_a_thread() -> None:
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join(PATIENCE)

    before_a_fork.append(fork_in_a_thread)
    assert status_of(is_the_programs) == 1
    assert statuses == [1]
    assert is_the_programs()


def test_the_child_that_a_handler_forks_meanwhile_has_them() -> None:
    statuses: list[int] = []

    def fork(*_: object) -> None:
        statuses.append(status_of(is_the_programs))

    def send() -> None:
        os.kill(os.getpid(), signal.SIGWINCH)  # which is not put off

    before = signal.signal(signal.SIGWINCH, fork)
    try:
        before_a_fork.append(send)
        assert status_of(is_the_programs) == 1
    finally:
        signal.signal(signal.SIGWINCH, before)
    assert statuses == [1]
    assert is_the_programs()


def test_the_connection_is_the_childs_alone_where_a_handler_has_raised_meanwhile() -> None:
    def leave(*_: object) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, leave)
    before_a_fork.append(lambda: os.kill(os.getpid(), signal.SIGTERM))
    with (
        TCPServer(("127.0.0.1", 0), BaseRequestHandler, strategy=Forking()) as server,
        socket.create_connection(server.server_address, PATIENCE),
    ):
        with pytest.raises(SystemExit):
            server.serve_forever()
        assert [each.request.fileno() for each in server.in_flight] == [-1]
