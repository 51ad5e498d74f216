"""What children keep, and who reaps them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from .clause import Setting, clause
from .outcome import BrokenError, NotApplicableError
from .stage import Stage
from .trial import QUIET

# The exit status of a child of the application that ends before the server serves.
_EARLY = 7


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
        early, late = _fork(lambda: None), _fork(signal.pause)
        stage.on_signal = lambda: os.kill(late, signal.SIGKILL)
        stage.serve(server)
        stage.close(server)
        stage.events.tell("own children", statuses=[_status(early), _status(late)])

    with setting.trial(program) as trial:
        for number in range(5):
            trial.check_echo().close()
            trial.events.wait_until_quiet(QUIET / 10, setting.patience)
            if number == 1:
                trial.signal(signal.SIGUSR2)
        for clients in trial.fill():
            for client in clients:
                client.close()
        trial.check_echo().close()
        trial.stop()
        statuses = trial.expect("own children")["statuses"]
        if statuses != [_EARLY, -signal.SIGKILL]:
            raise BrokenError(
                "somebody else has reaped one of them"
                if None in statuses
                else f"the statuses were {statuses}, not {[_EARLY, -int(signal.SIGKILL)]}"
            )


def _fork(main: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        main()
        os._exit(_EARLY)
    return pid


def _status(pid: int) -> int | None:
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return None
