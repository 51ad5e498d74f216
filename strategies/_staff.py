"""The workers that there are: started, and seen out."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server
from serverstrategy.waiter import shortest

from ._charge import STEP_TIME, Charge
from ._children import Children
from ._plan import Plan
from ._scoreboard import Scoreboard
from ._stack_file import new_stack_file
from ._worker import Ring, work


class Staff:
    """The workers that there are.

    Args:
        plan: what is wanted of them.
        charges: each by its pid, those included that an earlier `serve` has left draining.
        children: where they are watched, as processes.
        server: for which they accept.
        stop: the whole of which the signal of each is a part.
        board: where they tell what they do.
        on_end: called with each that has ended, and with its exit status.
    """

    def __init__(
        self,
        plan: Plan,
        charges: dict[int, Charge],
        children: Children,
        server: Server,
        stop: StopSignal,
        board: Scoreboard,
        on_end: Callable[[Charge, int], None],
    ) -> None:
        self._plan = plan
        self._children = children
        self._server = server
        self._stop = stop
        self._board = board
        self._on_end = on_end
        self._charges = charges

    def all(self) -> list[Charge]:
        """Each that has not ended."""
        return list(self._charges.values())

    def staying(self) -> list[Charge]:
        """Each that is not to end either."""
        return [each for each in self.all() if each.ending is None]

    def start(self, ring: Ring) -> bool:
        """Fork one; False if the scoreboard has no room for it.

        Args:
            ring: see `work`.

        Raises:
            OSError: the system refuses a process, or there is no descriptor for it.
        """
        slot = self._board.take({each.slot.number for each in self.all()}, time.monotonic())
        if slot is None:
            return False
        stop = self._stop.child()
        charge = Charge(slot, stop, None if self._plan.hang_timeout is None else new_stack_file())
        try:
            self._children.fork(
                partial(self._work, charge, ring),
                partial(self._begin, charge),
                partial(self._end, charge),
            )
        except OSError:
            charge.close()
            raise
        return True

    def stop(self) -> None:
        """Have all stop accepting."""
        for charge in self.all():
            charge.stop()

    def end(self, timeout: float | None, look: Callable[[], float | None]) -> bool:
        """Wait for all, and end those that take longer than `timeout` seconds.

        Args:
            timeout: None: for ever.
            look: called meanwhile; returns after how many seconds to call it again, None: never.

        Returns:
            Whether none had to be ended.
        """
        ended = False
        try:
            ended = self._wait(timeout, look)
        finally:
            try:
                if not ended:
                    self._force()
            finally:  # a hook may have raised
                self._children.close()
        return ended

    def _wait(self, timeout: float | None, look: Callable[[], float | None]) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        while deadline is None or time.monotonic() < deadline:
            pause = look()
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if self._children.wait(shortest(pause, left)):
                return True
        return self._children.wait(0.0)

    def _force(self) -> None:
        # Workers inside of a worker are gone before that one's next step is due.
        step_time = STEP_TIME / 4**self._board.depth
        for step in (Charge.cut, Charge.terminate, Charge.kill):
            for charge in self.all():
                step(charge)
            if self._children.wait(None if step is Charge.kill else step_time):
                return

    def _work(self, charge: Charge, ring: Ring) -> int:
        for other in self.all():
            if other.stack is not None:
                other.stack.close()
        self._plan.become_worker(self._board.inside(charge.slot))
        return work(self._server, self._plan, charge, ring)

    def _begin(self, charge: Charge, pid: int) -> None:
        charge.worker.pid = charge.slot.pid = pid
        self._charges[pid] = charge
        self._server.add_watched(self._children)

    def _end(self, charge: Charge, pid: int, status: int) -> None:
        if charge.status is None:  # if not, Ctrl-C came amid the first call
            self._charges.pop(pid, None)
            charge.status = status
            if not self._children.pids():
                self._server.remove_watched(self._children)
            self._on_end(charge, status)
        self._board.note_death(charge.slot, time.monotonic())
        charge.close()
