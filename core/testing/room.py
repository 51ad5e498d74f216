"""How many connections are accepted, and when."""

from __future__ import annotations

import time

from .clause import Setting, clause
from .client import Client
from .outcome import BrokenError, NotApplicableError
from .trial import MANY, Trial

# The processor time that waiting may take, in seconds, of so many seconds.
_CPU = 0.1
_SPAN = 0.5

# How long a hand-over may take on a loaded machine, in seconds.
_HAND_OVER = 0.8

# How many more connections try the limit of a strategy that had room for `MANY`.
_MORE = 64


@clause
def room_comes_before_the_accept(setting: Setting) -> None:
    """What nobody has room for stays in the backlog: ready says no, and nothing is accepted."""
    waiting = setting.ask(lambda strategy: _waiting(strategy))
    with setting.trial() as trial:
        number = sum(map(len, _fill_to_the_limit(trial)))

        def kept() -> int:
            """How many connections were accepted and handed over, and lie there."""
            events = trial.events
            idle = events.ports("handed") - events.ports("begin") - events.ports("failed")
            return len(idle)

        processes = len({event["pid"] for event in trial.events.select("accepted")})
        if not trial.events.wait(lambda: kept() <= waiting * processes, setting.patience):
            raise BrokenError(
                f"of {number} connections, {len(trial.events.ports('begin'))} were being "
                f"handled, and {kept()} more were accepted, which no handler took up"
            )
        if failed := trial.events.ports("failed"):
            raise BrokenError(
                f"of {number} connections, process_request failed for {len(failed)}, for which "
                "ready had promised room"
            )


@clause
def process_request_does_not_wait_for_room(setting: Setting) -> None:
    """When ready has promised room, process_request hands over without waiting for a place."""
    with setting.trial() as trial:
        number = sum(map(len, _fill_to_the_limit(trial)))

        def stuck() -> int:
            events = trial.events
            handing, begun = events.places("handing"), events.places("begin")
            # In the thread that accepts, a handler may run.
            here = {port for port, place in begun.items() if handing.get(port) == place}
            return len(handing.keys() - events.ports("handed") - events.ports("failed") - here)

        if not trial.events.wait(lambda: not stuck(), setting.patience):
            raise BrokenError(
                f"of {number} connections, {len(trial.events.ports('begin'))} were being "
                f"handled, and process_request was waiting with {stuck()} more in its hand"
            )
        begun, handing = trial.events.places("begin"), trial.events.select("handing")
        since = {each["port"]: each["time"] for each in handing}
        for event in (*trial.events.select("handed"), *trial.events.select("failed")):
            port, took = event["port"], event["time"] - since[event["port"]]
            if took > _HAND_OVER and begun.get(port) != (event["pid"], event["thread"]):
                raise BrokenError(f"process_request has taken {took:.1f} s for a connection")


@clause
def room_that_comes_back_is_used(setting: Setting) -> None:
    """When connections end, ready says yes again, and those in the backlog are handled."""
    with setting.trial() as trial:
        for end in (Client.close, _fail):
            inside, outside = _fill_to_the_limit(trial)
            for client in inside:
                end(client)
            for client in outside:
                if (reply := client.receive()) != "hello":
                    raise BrokenError(f"when others had ended, a connection got {reply}")
                client.close()
        trial.check_echo()


def _fail(client: Client) -> None:
    client.send("raise ValueError")


@clause
def waiting_costs_nothing(setting: Setting) -> None:
    """Neither an idle server nor a full one uses the processor."""
    with setting.trial() as trial:
        trial.check_echo().close()
        _check_cpu(trial, "idle")
        trial.fill()
        _check_cpu(trial, "full")


def _waiting(strategy: object) -> int:
    """How many connections it accepts to wait for a place, of its own will: see `ThreadPool`."""
    total = 0
    while strategy is not None:
        total += getattr(strategy, "waiting", 0)
        strategy = getattr(strategy, "inner", None)
    return total


def _fill_to_the_limit(trial: Trial) -> tuple[list[Client], list[Client]]:
    inside, outside = trial.fill()
    if not outside:
        more, outside = trial.fill(_MORE, has_room=False)
        inside += more
    if not outside:
        raise NotApplicableError(f"it had room for all of {MANY + _MORE} connections")
    return inside, outside


def _check_cpu(trial: Trial, state: str) -> None:
    time.sleep(0.05)  # the echo of what was before
    before = trial.cpu_seconds()
    if before is None:
        raise NotApplicableError("this system does not tell the processor time of processes")
    time.sleep(_SPAN)  # the stretch that is measured
    used = (trial.cpu_seconds() or 0.0) - before
    if used > _CPU:
        raise BrokenError(
            f"while it was {state}, it used the processor for {used:.2f} s of {_SPAN} s"
        )
