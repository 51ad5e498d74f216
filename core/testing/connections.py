"""What becomes of each connection."""

from __future__ import annotations

import math
import signal
import socket
import time
from collections import Counter
from itertools import cycle

from .clause import Setting, clause
from .events import Event
from .outcome import BrokenError, NotApplicableError
from .stage import Stage, starts_fail
from .trial import MANY, QUIET, Trial

# How many connections come at the same time, one time after the other.
_AT_A_TIME = (1, 40, 8, 8, 8, 15)

# What handlers raise: an error of a program and one of a connection, and what is no Exception.
_ERRORS = ("ValueError", "BrokenPipeError")
_EXITS = ("SystemExit", "KeyboardInterrupt", "Unusual")

# For how long a client says nothing in the middle of its dialogue, in seconds.
_DIALOGUE = 1.2

# How many connections are looked at one by one.
_OFTEN = 10

# How many handlers fail in a strategy that had room for all: more than a pool has threads.
_DEATHS = 100


@clause
def each_connection_is_handled_once(setting: Setting) -> None:
    """`complete_request` runs exactly once for each connection that was accepted."""
    number = sum(_AT_A_TIME) + 2 * len(_ERRORS)
    with setting.trial() as trial:
        for at_a_time in _AT_A_TIME:
            clients = trial.clients(at_a_time)
            for client in clients:
                client.send("echo hello")
            trial.events.wait_until_quiet(QUIET / 10, setting.patience)
            for client in clients:
                client.end()
            for client in clients:
                reply = client.receive()
                if reply != "hello":
                    raise BrokenError(f"a connection got {reply} instead of its answer")
        for name in 2 * _ERRORS:
            trial.client().ask(f"raise {name}")
        trial.end()
        times = Counter(event["port"] for event in trial.events.select("begin"))
        twice = sum(number > 1 for number in times.values())
        if twice:
            raise BrokenError(f"{twice} of {number} connections were handled more than once")
        if len(times) < number:
            raise BrokenError(f"only {len(times)} of {number} connections were handled")


@clause
def each_connection_is_closed(setting: Setting) -> None:
    """A connection is closed when its handler has ended, also by an error."""
    with setting.trial() as trial:
        trial.check_echo().close()
        failures = [f"raise {name}" for name in (*_ERRORS, *_exits(trial))]
        for command in (*_OFTEN * ["quit"], *failures):
            client = trial.client()
            client.send(command)
            replies = [client.receive()]
            if command == "quit":
                replies.append(client.receive())
            if replies[-1] != "the end of file":
                raise BrokenError(f"after {command!r}, the client got {replies[-1]}")
            if not client.is_closed_there():
                raise BrokenError(f"after {command!r}, somebody kept the connection open")


@clause
def connections_stay_open_while_handled(setting: Setting) -> None:
    """A connection is not closed before its handler has ended."""
    with setting.trial() as trial:
        inside, outside = trial.fill(4)
        for client in outside:
            client.close()
        time.sleep(_DIALOGUE)  # as long as a client thinks
        for client in inside:
            if (reply := client.ask("echo again")) != "again":
                raise BrokenError(f"in the middle of its dialogue, a client got {reply}")


@clause
def errors_are_reported(setting: Setting) -> None:
    """An error of a handler goes to handle_error, and costs its own connection only."""
    with setting.trial() as trial:
        trial.check_echo().close()
        for name in (*_ERRORS, *_ERRORS, *_exits(trial)):
            _check_report(trial, name)
        trial.check_echo()


@clause
def errors_are_reported_where_they_are_caught(setting: Setting) -> None:
    """`handle_error` is called inside the except clause: sys.exc_info() tells the error."""
    with setting.trial() as trial:
        trial.check_echo().close()
        for name in (*_ERRORS, *_exits(trial)):
            if (error := _check_report(trial, name)) != name:
                raise BrokenError(f"there, sys.exc_info() told {error} instead of {name}")


def _check_report(trial: Trial, name: str) -> str:
    """Have a handler raise; return the name of the error that handle_error was told."""
    client = trial.client()
    client.send(f"raise {name}")
    client.receive()

    def told() -> list[Event]:
        return trial.events.select("handle_error", port=client.port)

    if not trial.events.wait(told, trial.patience):
        raise BrokenError(f"a handler raised {name}, and handle_error was not called")
    return str(told()[0]["error"])


def _exits(trial: Trial) -> tuple[str, ...]:
    """What is an error of its connection, unless it belongs to the application's own thread."""
    return () if _is_in_own_thread(trial) else _EXITS


@clause
def base_exceptions_cost_one_connection(setting: Setting) -> None:
    """SystemExit in a handler costs neither the server nor a place: as many fit in as before."""
    with setting.trial() as trial:
        inside, outside = trial.fill()
        if _is_in_own_thread(trial):
            raise NotApplicableError("the handlers run in the thread that calls serve_forever")
        for client in (*inside, *outside):
            client.close()
        deaths = len(_EXITS) * (len(inside) + 1) if outside else _DEATHS
        for _, name in zip(range(deaths), cycle(_EXITS), strict=False):
            client = trial.client()
            client.send(f"raise {name}")
            if (reply := client.receive()) != "the end of file":
                raise BrokenError(f"after {name} in its handler, a client got {reply}")
        clients = trial.clients(MANY)
        for client in clients:
            client.send("echo hello")
        ports = {client.port for client in clients}

        def handled() -> int:
            return len(ports & trial.events.ports("begin"))

        if not trial.events.wait(lambda: handled() >= len(inside), setting.patience):
            raise BrokenError(f"before, {len(inside)} connections fit in; afterwards {handled()}")


def _is_in_own_thread(trial: Trial) -> bool:
    begun = trial.events.select("begin")
    return all(event["main"] and event["pid"] == trial.pid for event in begun)


@clause
def a_failed_start_gives_the_connection_back(setting: Setting) -> None:
    """Where no thread or process can be started, process_request raises, and nothing is kept."""

    def program(stage: Stage) -> None:
        server = stage.build(stage.make())

        def fail() -> None:
            starts_fail(wanted=True)
            stage.on_signal = succeed
            stage.events.tell("failing")

        def succeed() -> None:
            starts_fail(wanted=False)
            stage.events.tell("starting")

        stage.on_signal = fail
        stage.serve(server)
        stage.close(server)

    with setting.trial(program) as trial:
        trial.check_echo().close()
        # What serve starts may come after the first connection.
        trial.events.wait_until_quiet(QUIET, setting.patience)
        trial.signal(signal.SIGUSR2)
        trial.expect("failing")
        clients = trial.clients(MANY)
        for client in clients:
            client.send("echo hello")
        trial.events.wait_until_quiet(QUIET, setting.patience)
        failed = trial.events.ports("failed")
        for client in clients:
            if client.port in failed and (reply := client.receive()) != "the end of file":
                raise BrokenError(f"process_request raised, and the client got {reply}")
            if client.port in failed and not client.is_closed_there():
                raise BrokenError("process_request raised, and somebody kept the connection")
        trial.signal(signal.SIGUSR2)
        trial.expect("starting")
        handed = trial.events.ports("handed") - failed
        for client in clients:
            if client.port in handed and client.receive() not in ("hello", "the end of file"):
                raise BrokenError(
                    "no thread or process could be started for a connection, process_request did "
                    "not raise, and the connection was neither handled nor closed"
                )
            client.close()
        trial.check_echo()
        begun = trial.events.select("begin")
        since = {each["port"]: each["time"] for each in trial.events.select("failed")}
        if any(each["time"] > since.get(each["port"], math.inf) for each in begun):
            raise BrokenError("process_request raised, and its connection was handled afterwards")


@clause
def handle_request_handles_one(setting: Setting) -> None:
    """A server that nobody serves handles one connection for each call of handle_request."""

    def program(stage: Stage) -> None:
        server = stage.build(stage.make())
        for _ in range(2):
            server.handle_request()
        stage.close(server)

    with setting.trial(program) as trial:
        for _ in range(2):
            client = trial.client()
            if (reply := client.ask("echo hello")) != "hello":
                raise BrokenError(f"a connection got {reply} instead of its answer")
            client.close()
        trial.wait_for_the_end()


@clause
def datagrams_are_answered(setting: Setting) -> None:
    """Each datagram of a datagram server is handled once."""
    if not setting.ask(lambda strategy: strategy.datagrams):
        raise NotApplicableError("it says datagrams = False")

    def program(stage: Stage) -> None:
        server = stage.build(stage.make(), datagrams=True)
        stage.serve(server)
        stage.close(server)

    with setting.trial(program) as trial, socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(setting.patience)
        client.connect(trial.address)
        for number in range(10):
            client.send(f"hello {number}".encode())
            try:
                reply = client.recv(100).decode()
            except OSError as error:
                raise BrokenError(f"a datagram was not answered: {error}") from None
            if reply != f"hello {number}":
                raise BrokenError(f"the answer to 'hello {number}' was {reply!r}")
        trial.end()
        handled = len(trial.events.select("begin"))
        if handled != 10:
            raise BrokenError(f"10 datagrams were handled {handled} times")
