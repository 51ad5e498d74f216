"""What becomes of each connection."""

from __future__ import annotations

import socket
import time
from collections import Counter

from .clause import Setting, clause
from .client import bound_socket
from .outcome import BrokenError, NotApplicableError
from .stage import ERRORS, Stage
from .trial import QUIET

# How many connections come at the same time, one time after the other.
_AT_A_TIME = (1, 40, 8, 8, 8, 15)

# For how long a client says nothing in the middle of its dialogue, in seconds.
_DIALOGUE = 1.2

# How many connections are looked at one by one.
_OFTEN = 10


@clause
def each_connection_is_handled_once(setting: Setting) -> None:
    """`complete_request` runs exactly once for each connection that was accepted."""
    number = sum(_AT_A_TIME) + 2 * len(ERRORS)
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
        for name in 2 * ERRORS:
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
        failures = [f"raise {name}" for name in trial.errors()]
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

    with setting.trial(program) as trial:
        for number in range(10):
            word = f"hello {number}"
            with bound_socket(socket.SOCK_DGRAM, number) as client:
                client.settimeout(setting.patience)
                client.connect(trial.address)
                client.send(word.encode())
                try:
                    reply = client.recv(100).decode()
                except OSError as error:
                    raise BrokenError(f"a datagram was not answered: {error}") from None
            if reply != word:
                raise BrokenError(f"the answer to {word!r} was {reply!r}")
        trial.end()
        handled = len(trial.events.select("begin"))
        if handled != 10:
            raise BrokenError(f"10 datagrams were handled {handled} times")
