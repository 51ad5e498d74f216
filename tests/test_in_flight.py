"""The register of the connections that are being handled."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from serverstrategy import Connection, InFlight
from serverstrategy.waiter import Waiter

PATIENCE = 20.0
PEER = ("192.0.2.1", 1234)


class Request:
    """Something that is like every other one, as a namedtuple or a datagram may be."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Request)

    __hash__ = None  # type: ignore[assignment]


class Waking(Waiter):
    """Counts its wake-ups."""

    wakes = 0

    def wake(self) -> None:
        self.wakes += 1
        super().wake()


Waiters = tuple[Waking, Waking]


@pytest.fixture
def in_flight() -> InFlight:
    return InFlight()


@pytest.fixture
def waiters() -> Iterator[Waiters]:
    made = (Waking(), Waking())
    yield made
    for waiter in made:
        waiter.close()


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def join(thread: threading.Thread) -> None:
    thread.join(PATIENCE)
    assert not thread.is_alive()


def begin_elsewhere(in_flight: InFlight, request: object) -> int:
    """Have a thread, which has ended when this returns, begin to handle `request`."""
    thread = in_thread(lambda: in_flight.begin(request, PEER))
    join(thread)
    assert thread.ident is not None
    return thread.ident


# Entering and leaving


def test_it_is_empty_at_first(in_flight: InFlight) -> None:
    assert len(in_flight) == 0
    assert list(in_flight) == []
    assert in_flight.others() == []


def test_what_is_added_is_there_until_it_is_removed(in_flight: InFlight) -> None:
    request = Request()
    connection = in_flight.add(request, PEER)
    assert isinstance(connection, Connection)
    assert len(in_flight) == 1
    assert request in in_flight
    assert list(in_flight) == [connection]
    in_flight.remove(request)
    assert len(in_flight) == 0
    assert request not in in_flight


def test_requests_are_told_apart_by_identity(in_flight: InFlight) -> None:
    first, second = Request(), Request()
    assert first == second
    in_flight.add(first, PEER)
    assert second not in in_flight
    in_flight.add(second, PEER)
    assert len(in_flight) == 2
    in_flight.remove(first)
    assert second in in_flight


def test_removing_what_is_not_there_is_no_error(in_flight: InFlight) -> None:
    request = Request()
    in_flight.add(request, PEER)
    in_flight.remove(Request())
    in_flight.remove(request)
    in_flight.remove(request)
    assert len(in_flight) == 0


def test_iterating_gives_a_snapshot(in_flight: InFlight) -> None:
    requests = [Request() for _ in range(5)]
    for request in requests:
        in_flight.add(request, PEER)
    seen = []
    for connection in in_flight:
        seen.append(connection.request)
        in_flight.remove(connection.request)
        in_flight.add(Request(), PEER)
    assert [id(each) for each in seen] == [id(each) for each in requests]
    assert len(in_flight) == 5


def test_threads_may_all_use_it_at_the_same_time(in_flight: InFlight) -> None:
    start = threading.Barrier(4)
    errors: list[BaseException] = []

    def use() -> None:
        try:
            start.wait(PATIENCE)
            for _ in range(300):
                request = Request()
                in_flight.add(request, PEER)
                in_flight.begin(request, PEER)
                assert request in in_flight
                assert len(list(in_flight)) >= 1
                assert in_flight.handled_by(threading.get_ident())
                in_flight.remove(request)
        except BaseException as error:  # noqa: BLE001 - it is looked at in the test's own thread
            errors.append(error)

    threads = [in_thread(use) for _ in range(4)]
    for thread in threads:
        join(thread)
    assert errors == []
    assert len(in_flight) == 0


# What is known of a connection


def test_a_connection_that_waits_for_its_handler(in_flight: InFlight) -> None:
    request = Request()
    before = time.monotonic()
    connection = in_flight.add(request, PEER)
    assert connection.request is request
    assert connection.client_address == PEER
    assert connection.thread is None
    assert connection.child is None
    assert before <= connection.started <= time.monotonic()
    assert not in_flight.is_begun(request)


def test_the_age_grows(in_flight: InFlight) -> None:
    connection = in_flight.add(Request(), PEER)
    connection.started -= 100
    assert 100 <= connection.age < 100 + PATIENCE


def test_begin_notes_the_thread(in_flight: InFlight) -> None:
    request = Request()
    connection = in_flight.add(request, PEER)
    in_flight.begin(request, PEER)
    assert list(in_flight) == [connection]
    assert connection.thread == threading.get_ident()
    assert in_flight.is_begun(request)


def test_begin_enters_what_was_not_added(in_flight: InFlight) -> None:
    request = Request()
    in_flight.begin(request, PEER)
    (connection,) = in_flight
    assert connection.request is request
    assert connection.client_address == PEER
    assert connection.thread == threading.get_ident()


def test_hand_to_child_notes_the_child(in_flight: InFlight) -> None:
    request = Request()
    connection = in_flight.add(request, PEER)
    in_flight.hand_to_child(request, 4321)
    assert connection.child == 4321
    assert in_flight.is_begun(request)


def test_a_child_that_has_ended_already_is_not_noted(in_flight: InFlight) -> None:
    in_flight.hand_to_child(Request(), 4321)
    assert len(in_flight) == 0


def test_what_is_not_there_is_not_begun(in_flight: InFlight) -> None:
    request = Request()
    assert not in_flight.is_begun(request)
    in_flight.begin(request, PEER)
    in_flight.remove(request)
    assert not in_flight.is_begun(request)


@pytest.mark.parametrize("how", ["take", "begin"])
def test_what_somebody_took_is_known(how: str, in_flight: InFlight) -> None:
    request = Request()
    connection = in_flight.add(request, PEER)
    assert not connection.is_taken
    if how == "take":
        in_flight.take(request, PEER)
    else:
        in_flight.begin(request, PEER)
    assert connection.is_taken


def test_who_strikes_a_connection_off_may_keep_its_room(
    in_flight: InFlight, waiters: Waiters
) -> None:
    request = Request()
    in_flight.add(request, PEER)
    in_flight.park(waiters[0])
    assert in_flight.strike_off(request) is in_flight
    assert request not in in_flight
    assert waiters[0].wakes == 0
    in_flight.pass_on()
    assert waiters[0].wakes == 1
    assert in_flight.strike_off(request) is None


def test_what_was_accepted_elsewhere_is_entered_when_it_is_taken(in_flight: InFlight) -> None:
    request = Request()
    in_flight.take(request, PEER)
    (connection,) = in_flight
    assert connection.is_taken
    assert (connection.request, connection.client_address) == (request, PEER)


def test_handled_by_knows_the_threads_with_a_handler(in_flight: InFlight) -> None:
    me = threading.get_ident()
    request = Request()
    in_flight.add(request, PEER)
    assert not in_flight.handled_by(me)
    assert not in_flight.handled_by(None)
    in_flight.begin(request, PEER)
    assert in_flight.handled_by(me)
    assert not in_flight.handled_by(me + 1)
    in_flight.remove(request)
    assert not in_flight.handled_by(me)


def test_others_are_those_of_other_threads(in_flight: InFlight) -> None:
    mine, theirs, nobodys = Request(), Request(), Request()
    in_flight.begin(mine, PEER)
    begin_elsewhere(in_flight, theirs)
    in_flight.add(nobodys, PEER)
    assert [id(each.request) for each in in_flight.others()] == [id(theirs), id(nobodys)]


def test_the_repr_tells_peer_thread_child_and_age(in_flight: InFlight) -> None:
    request = Request()
    connection = in_flight.add(request, PEER)
    age = r"\d+\.\d{3} s"
    peer = re.escape(repr(PEER))
    assert re.fullmatch(f"<connection from {peer}, {age}>", repr(connection))
    in_flight.begin(request, PEER)
    in_thread = f"in thread {threading.get_ident()}"
    assert re.fullmatch(f"<connection from {peer} {in_thread}, {age}>", repr(connection))
    in_flight.hand_to_child(request, 4321)
    assert re.fullmatch(f"<connection from {peer} in child 4321, {age}>", repr(connection))


# Waking who waits for room


def test_the_end_of_a_connection_wakes_who_is_parked(in_flight: InFlight, waiters: Waiters) -> None:
    request = Request()
    in_flight.add(request, PEER)
    in_flight.park(waiters[0])
    assert waiters[0].wakes == 0
    waiting = in_thread(waiters[0].wait)
    in_flight.remove(request)
    join(waiting)


def test_each_end_wakes_one_the_longest_parked_first(in_flight: InFlight, waiters: Waiters) -> None:
    requests = [Request(), Request(), Request()]
    for request in requests:
        in_flight.add(request, PEER)
    for waiter in waiters:
        in_flight.park(waiter)
    woken = []
    for request in requests:
        in_flight.remove(request)
        woken.append([waiter.wakes for waiter in waiters])
    assert woken == [[1, 0], [1, 1], [1, 1]]


def test_who_is_unparked_is_not_woken(in_flight: InFlight, waiters: Waiters) -> None:
    request = Request()
    in_flight.add(request, PEER)
    for waiter in waiters:
        in_flight.park(waiter)
    in_flight.unpark(waiters[0])
    in_flight.remove(request)
    assert [waiter.wakes for waiter in waiters] == [0, 1]


def test_unparking_who_is_not_parked_is_no_error(in_flight: InFlight, waiters: Waiters) -> None:
    in_flight.unpark(waiters[0])
    in_flight.park(waiters[0])
    in_flight.unpark(waiters[0])
    in_flight.unpark(waiters[0])


def test_what_was_not_there_wakes_nobody(in_flight: InFlight, waiters: Waiters) -> None:
    in_flight.park(waiters[0])
    in_flight.remove(Request())
    assert waiters[0].wakes == 0


def test_the_beginning_of_a_connection_wakes_nobody(in_flight: InFlight, waiters: Waiters) -> None:
    request = Request()
    in_flight.park(waiters[0])
    in_flight.add(request, PEER)
    in_flight.begin(request, PEER)
    assert waiters[0].wakes == 0


# Waiting for the end


def test_an_empty_register_has_none(in_flight: InFlight) -> None:
    assert in_flight.wait_for_none(None)
    assert in_flight.wait_for_none(0)


def test_waiting_for_none_gives_up_at_the_timeout(in_flight: InFlight) -> None:
    in_flight.add(Request(), PEER)
    started = time.monotonic()
    assert not in_flight.wait_for_none(0.03)
    assert 0.029 < time.monotonic() - started < PATIENCE
    assert not in_flight.wait_for_none(0)


@pytest.mark.parametrize("timeout", [None, PATIENCE])
def test_waiting_for_none_ends_with_the_last(in_flight: InFlight, timeout: float | None) -> None:
    requests = [Request(), Request()]
    for request in requests:
        in_flight.add(request, PEER)
    answers: list[bool] = []
    waiting = in_thread(lambda: answers.append(in_flight.wait_for_none(timeout)))
    in_flight.remove(requests[0])
    assert not in_flight.wait_for_none(0.01)
    assert answers == []
    in_flight.remove(requests[1])
    join(waiting)
    assert answers == [True]


def test_many_may_wait_for_none(in_flight: InFlight) -> None:
    request = Request()
    in_flight.add(request, PEER)
    waiting = [in_thread(lambda: in_flight.wait_for_none(None)) for _ in range(3)]
    in_flight.remove(request)
    for thread in waiting:
        join(thread)


def test_a_handler_does_not_wait_for_itself(in_flight: InFlight) -> None:
    in_flight.begin(Request(), PEER)
    assert in_flight.wait_for_none(0)
    begin_elsewhere(in_flight, Request())
    assert not in_flight.wait_for_none(0)


def test_a_connection_that_is_begun_by_the_waiting_thread_is_not_waited_for(
    in_flight: InFlight,
) -> None:
    request = Request()
    in_flight.add(request, PEER)
    assert not in_flight.wait_for_none(0)
    in_flight.begin(request, PEER)
    assert in_flight.wait_for_none(0)


def test_wait_until_asks_again_after_poke(in_flight: InFlight) -> None:
    asked = threading.Semaphore(0)
    answer: list[bool] = []

    def condition() -> bool:
        asked.release()
        return bool(answer)

    waiting = in_thread(lambda: in_flight.wait_until(condition, None))
    assert asked.acquire(timeout=PATIENCE)
    in_flight.poke()
    assert asked.acquire(timeout=PATIENCE)
    answer.append(True)
    in_flight.poke()
    join(waiting)


def test_wait_until_asks_again_when_a_connection_begins_or_ends(in_flight: InFlight) -> None:
    asked = threading.Semaphore(0)
    states: list[tuple[int, bool]] = []
    request = Request()

    def condition() -> bool:
        states.append((len(in_flight), in_flight.is_begun(request)))
        asked.release()
        return len(states) > 1 and len(in_flight) == 0

    waiting = in_thread(lambda: in_flight.wait_until(condition, None))
    assert asked.acquire(timeout=PATIENCE)
    in_flight.begin(request, PEER)
    assert asked.acquire(timeout=PATIENCE)
    in_flight.remove(request)
    join(waiting)
    assert states == [(0, False), (1, True), (0, False)]


def test_wait_until_returns_the_last_answer(in_flight: InFlight) -> None:
    assert in_flight.wait_until(lambda: True, 0) is True
    assert in_flight.wait_until(lambda: False, 0.01) is False


def test_an_error_of_the_condition_leaves_the_register_in_order(in_flight: InFlight) -> None:
    with pytest.raises(ZeroDivisionError):
        in_flight.wait_until(lambda: bool(1 / 0), None)
    request = Request()
    join(in_thread(lambda: in_flight.add(request, PEER)))  # nobody holds the lock
    assert request in in_flight


def test_a_signal_handler_may_use_it_at_any_moment(in_flight: InFlight) -> None:
    """Even while the thread that it interrupts is inside."""
    request = Request()
    in_flight.add(request, PEER)

    def end(*_: object) -> None:
        in_flight.remove(request)
        in_flight.poke()
        in_flight.cut()

    before = signal.signal(signal.SIGUSR1, end)
    try:
        assert in_flight.wait_until(
            lambda: signal.raise_signal(signal.SIGUSR1) or len(in_flight) == 0, PATIENCE
        )
    finally:
        signal.signal(signal.SIGUSR1, before)


# Cutting


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    first, second = socket.socketpair()
    second.settimeout(PATIENCE)
    yield first, second
    first.close()
    second.close()


Ends = tuple[socket.socket, socket.socket]


def test_cut_ends_a_connection_from_outside(in_flight: InFlight, ends: Ends) -> None:
    mine, peer = ends
    connection = in_flight.add(mine, PEER)
    received: list[bytes] = []

    def handle() -> None:
        in_flight.begin(mine, PEER)
        begun.set()
        received.append(mine.recv(1))
        in_flight.remove(mine)

    begun = threading.Event()
    handling = in_thread(handle)
    assert begun.wait(PATIENCE)
    assert in_flight.cut() == [connection]
    assert in_flight.wait_for_none(PATIENCE)
    join(handling)
    assert received == [b""]
    assert peer.recv(1) == b""


def test_cut_leaves_the_calling_handler_alone(in_flight: InFlight, ends: Ends) -> None:
    mine, peer = ends
    in_flight.begin(mine, PEER)
    assert in_flight.cut() == []
    mine.sendall(b"still here")
    assert peer.recv(100) == b"still here"


def test_cut_of_a_connection_that_has_no_handler_yet(in_flight: InFlight, ends: Ends) -> None:
    mine, peer = ends
    connection = in_flight.add(mine, PEER)
    assert in_flight.cut() == [connection]
    assert peer.recv(1) == b""


def test_cut_of_a_closed_socket_is_no_error(in_flight: InFlight, ends: Ends) -> None:
    mine, _ = ends
    connection = in_flight.add(mine, PEER)
    mine.close()
    assert in_flight.cut() == [connection]


def test_cut_of_a_connection_whose_peer_is_gone_is_no_error(in_flight: InFlight) -> None:
    with socket.socket() as unconnected:
        connection = in_flight.add(unconnected, PEER)
        assert in_flight.cut() == [connection]


def test_cut_of_what_is_no_socket_is_no_error(in_flight: InFlight) -> None:
    connection = in_flight.add((b"a datagram", None), PEER)
    assert in_flight.cut() == [connection]


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for the end of its standard input."""
    command = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process


def test_cut_kills_a_child(in_flight: InFlight, ends: Ends, child: subprocess.Popen[bytes]) -> None:
    mine, peer = ends
    connection = in_flight.add(mine, PEER)
    in_flight.hand_to_child(mine, child.pid)
    assert in_flight.cut() == [connection]
    assert child.wait(PATIENCE) == -signal.SIGKILL
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(1)  # the connection is the child's, which had a copy of its own


def test_cut_of_a_child_that_is_gone_is_no_error(
    in_flight: InFlight, child: subprocess.Popen[bytes]
) -> None:
    request = Request()
    connection = in_flight.add(request, PEER)
    in_flight.hand_to_child(request, child.pid)
    child.kill()
    child.wait(PATIENCE)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    assert in_flight.cut() == [connection]
