"""What is there before, and must not be there afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from .clause import Setting, clause
from .outcome import BrokenError, NotApplicableError
from .stage import AFTERMATH, Belongings, Stage
from .trial import QUIET, Trial


@clause
def constructor_starts_nothing(setting: Setting) -> None:
    """A constructor starts no thread and no process, and opens no descriptor."""

    def program(stage: Stage) -> None:
        stage.make()  # what it imports may open things, and keep them
        before = Belongings()
        strategy = stage.make()
        stage.events.tell("constructed", new=before.new())
        del strategy  # not before, since its end may give back what it has taken

    with setting.trial(program) as trial:
        _check(trial.expect("constructed")["new"], "the constructor has started or opened")


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
            inside, outside = trial.fill(4)
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
def children_leave_the_listener(setting: Setting) -> None:
    """While server_close waits for handlers, nobody listens: no child has kept the listener."""
    with setting.trial() as trial:
        inside, outside = trial.fill(4)
        for client in outside:
            client.close()
        trial.stop()
        # Such a thread hears the stop when its handler has ended, and listens until then.
        if trial.handles_where_it_accepts():
            raise NotApplicableError("the handlers run in the threads that accept")
        trial.expect("closing")
        if not trial.events.wait(trial.refuses, setting.patience):
            raise BrokenError(
                "the server is being closed, and while a handler runs, a process still listens"
            )
        for client in inside:
            if (reply := client.ask("echo late")) != "late":
                raise BrokenError(f"while server_close waits, a handled connection got {reply}")


@clause
def children_of_the_application_are_left_alone(setting: Setting) -> None:
    """A strategy waits for its own children only: the application gets the status of its own."""

    def program(stage: Stage) -> None:
        server = stage.build(stage.make())
        pid = os.fork()
        if pid == 0:
            os._exit(7)
        stage.serve(server)
        stage.close(server)
        try:
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            status = -1
        stage.events.tell("own child", status=status)

    with setting.trial(program) as trial:
        for _ in range(5):
            trial.check_echo().close()
            trial.events.wait_until_quiet(QUIET / 10, setting.patience)
        trial.stop()
        if (status := trial.expect("own child")["status"]) != 7:
            raise BrokenError(
                "somebody else has reaped it" if status == -1 else f"the status was {status}, not 7"
            )


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
        trial.stop()
        trial.expect("returned")
        servers = trial.events.select("listening")
        trial.events.wait(lambda: len(trial.events.select("listening")) > len(servers), QUIET)
        try:
            trial.check_echo().close()
            trial.check_echo().close()
        except BrokenError as broken:
            raise BrokenError(f"the second time, {broken}") from None
        trial.end()
