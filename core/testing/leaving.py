"""What is there before, and must not be there afterwards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .belongings import AFTERMATH, Belongings
from .clause import Setting, clause
from .outcome import BrokenError
from .stage import Stage
from .trial import QUIET, Trial


@clause
def constructor_starts_nothing(setting: Setting) -> None:
    """A constructor starts no thread and no process, and opens no descriptor."""

    def program(stage: Stage) -> None:
        untouched = Belongings()
        first = stage.make()
        before = Belongings()  # what the first one has imported may open files, and keep them
        second = stage.make()
        opened = {"descriptors": before.new()["descriptors"]}
        stage.events.tell("constructed", new={**untouched.new(), **opened})
        del first, second  # not before, since their end may give back what they have taken
        stage.events.tell("closed")

    with setting.trial(program) as trial:
        _check(trial.expect("constructed")["new"], "the constructor has started or opened")
        trial.wait_for_the_end()


@clause
def repr_is_the_expression(setting: Setting) -> None:
    """The repr of a strategy is the expression that builds it; it keeps each argument's name."""
    name, text = setting.ask(lambda strategy: (type(strategy).__name__, repr(strategy)))
    if not (text.startswith(f"{name}(") and text.endswith(")")):
        raise BrokenError(f"the repr is {text}")


@clause
def no_descriptor_is_left(setting: Setting) -> None:
    """After server_close no descriptor is open that was not open before."""
    _check_left(setting, "descriptors")


@clause
def no_thread_is_left(setting: Setting) -> None:
    """After server_close no thread runs that did not run before."""
    _check_left(setting, "threads")


@clause
def no_child_is_left(setting: Setting) -> None:
    """After server_close no process is left, neither one that runs nor a zombie."""
    _check_left(setting, "children")


def _check_left(setting: Setting, kind: str) -> None:
    def program(stage: Stage) -> None:
        # The first server is not measured: what a library keeps once for its process is no leak.
        for number in range(2):
            before = Belongings()
            server = stage.build(stage.make())
            stage.serve(server)
            server.server_close()
            stage.events.tell("left", left=before.left()[kind] if number else [])
        stage.events.tell("closed")

    patience = setting.patience + AFTERMATH
    with setting.trial(program) as trial:
        for number in range(2):
            if not trial.events.wait(partial(_has_built, trial, number), setting.patience):
                trial.expect("closed")
            inside, outside = trial.fill()
            for client in (*inside, *outside):
                client.close()
            trial.client().ask("raise ValueError")
            trial.check_echo().close()
            trial.stop()
            if not trial.events.wait(partial(_has_left, trial, number), patience):
                raise BrokenError("server_close has not returned")
        _check({kind: trial.events.select("left")[-1]["left"]}, "after server_close there are")
        trial.wait_for_the_end()


def _has_built(trial: Trial, number: int) -> bool:
    return len(trial.events.select("listening")) > number


def _has_left(trial: Trial, number: int) -> bool:
    return len(trial.events.select("left")) > number


def _check(new: dict[str, list[str]], words: str) -> None:
    if any(new.values()):
        found = "; ".join(f"{kind}: {', '.join(each)}" for kind, each in new.items() if each)
        raise BrokenError(f"{words} {found}")


@clause
def it_serves_again_after_a_shutdown(setting: Setting) -> None:
    """After shutdown, serve_forever of the same server can be called again."""

    def program(stage: Stage) -> None:
        server = stage.build(stage.make())
        stage.serve(server)
        stage.serve(server)
        stage.close(server)

    _check_twice(setting, program)


@clause
def it_serves_another_server_after_the_close(setting: Setting) -> None:
    """After server_close, the strategy can be given to another server."""

    def program(stage: Stage) -> None:
        strategy = stage.make()
        for _ in range(2):
            server = stage.build(strategy)
            stage.serve(server)
            server.server_close()
        stage.events.tell("closed")

    _check_twice(setting, program)


def _check_twice(setting: Setting, program: Callable[[Stage], None]) -> None:
    with setting.trial(program) as trial:
        trial.check_echo().close()
        before = _fill_and_close(trial)
        trial.stop()
        trial.expect("returned")
        servers = trial.events.select("listening")
        trial.events.wait(lambda: len(trial.events.select("listening")) > len(servers), QUIET)
        try:
            trial.check_echo().close()
            now = _fill_and_close(trial, before)
        except BrokenError as broken:
            raise BrokenError(f"the second time, {broken}") from None
        if now < before:
            raise BrokenError(f"{before} connections fit in, and the second time only {now}")
        trial.end()


def _fill_and_close(trial: Trial, expected: int = 0) -> int:
    """How many connections fit in at the same time. Waits until `expected` do."""
    inside, outside = trial.fill()
    ports = {client.port for client in (*inside, *outside)}

    def fitting() -> int:
        return len(ports & trial.events.ports("begin"))

    trial.events.wait(lambda: fitting() >= expected, trial.patience)
    number = fitting()
    for client in (*inside, *outside):
        client.close()
    return number
