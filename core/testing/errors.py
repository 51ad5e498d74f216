"""What becomes of an error."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterable
from itertools import cycle

from .clause import Setting, clause
from .client import Client
from .events import Event
from .outcome import BrokenError, NotApplicableError
from .stage import ERRORS, EXITS, Stage, starts_fail
from .trial import MANY, QUIET, Trial

# How many handlers fail in a strategy that had room for all: more than a pool has threads.
_DEATHS = 100


@clause
def errors_are_reported(setting: Setting) -> None:
    """An error of a handler goes to handle_error, and costs its own connection only."""
    with setting.trial() as trial:
        trial.check_echo().close()
        for name in (*ERRORS, *trial.errors()):
            _check_report(trial, name)
        trial.check_echo()


@clause
def errors_are_reported_where_they_are_caught(setting: Setting) -> None:
    """`handle_error` is called inside the except clause: sys.exc_info() tells the error."""
    with setting.trial() as trial:
        trial.check_echo().close()
        for name in trial.errors():
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


@clause
def base_exceptions_cost_one_connection(setting: Setting) -> None:
    """SystemExit in a handler costs neither the server nor a place: as many fit in as before."""
    with setting.trial() as trial:
        inside, outside = trial.fill()
        if trial.handles_in_own_thread():
            raise NotApplicableError("the handlers run in the thread that calls serve_forever")
        for client in (*inside, *outside):
            client.close()
        deaths = len(EXITS) * (len(inside) + 1) if outside else _DEATHS
        for _, name in zip(range(deaths), cycle(EXITS), strict=False):
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
        _check_given_back(client for client in clients if client.port in failed)
        trial.signal(signal.SIGUSR2)
        trial.expect("starting")
        handed = trial.events.ports("handed") - failed
        _check_ended(client for client in clients if client.port in handed)
        for client in clients:
            client.close()
        trial.check_echo()
        begun = trial.events.select("begin")
        since = {each["port"]: each["time"] for each in trial.events.select("failed")}
        if any(each["time"] > since.get(each["port"], math.inf) for each in begun):
            raise BrokenError("process_request raised, and its connection was handled afterwards")


def _check_given_back(clients: Iterable[Client]) -> None:
    for client in clients:
        if (reply := client.receive()) != "the end of file":
            raise BrokenError(f"process_request raised, and the client got {reply}")
        if not client.is_closed_there():
            raise BrokenError("process_request raised, and somebody kept the connection")


def _check_ended(clients: Iterable[Client]) -> None:
    for client in clients:
        if client.receive() not in ("hello", "the end of file"):
            raise BrokenError(
                "no thread or process could be started for a connection, process_request did "
                "not raise, and the connection was neither handled nor closed"
            )
        client.close()
