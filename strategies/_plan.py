"""What a supervisor is told to keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from serverstrategy.strategy import Strategy

from ._scoreboard import Scoreboard
from .sizing import Sizing
from .worker import Worker


class Plan(Protocol):
    """What is wanted of the workers: the arguments of `Prefork`, which see."""

    inner: Strategy
    max_requests: int | None
    max_requests_jitter: int
    max_memory: int | None
    max_restarts: int | None
    restart_window: float
    reload_step: int
    on_worker_start: Callable[[Worker], object] | None
    on_worker_exit: Callable[[Worker, int], object] | None
    on_worker_timeout: Callable[[Worker], object] | None

    @property
    def sizing(self) -> Sizing:
        """How many workers there are to be."""
        raise NotImplementedError

    @property
    def hang_timeout(self) -> float | None:
        """How long a connection, or the start of a worker, may take, in seconds; None: for ever."""
        raise NotImplementedError

    def become_worker(self, board: Scoreboard | None) -> None:
        """Be the copy of a worker. A `Prefork` inside is to use `board`."""

    def cut_inside(self) -> None:
        """Have the workers of a `Prefork` inside cut what they have, and end those that go on."""


def check_hooks(*hooks: object) -> None:
    """Check what is given for a hook.

    Raises:
        TypeError: one is neither None nor can be called.
    """
    for hook in hooks:
        if hook is not None and not callable(hook):
            raise TypeError(f"a hook must be a function, not {hook!r}")


def check_room(sizing: Sizing, board: Scoreboard) -> None:
    """Check that there is room for the workers that there may be.

    Raises:
        ValueError: there is not.
    """
    if sizing.most > board.capacity:
        raise ValueError(
            f"there is room for {board.capacity} workers, not for {sizing.most}, until all have "
            "ended and serve_forever() is called again"
        )


def refuse_bounds(inner: Strategy, **bounds: int | None) -> None:
    """Refuse bounds that workers would never reach which run `inner`, since it has workers itself.

    Raises:
        ValueError: one of `bounds` is given.
    """
    for name, bound in bounds.items():
        if bound is not None:
            raise ValueError(
                f"{name} counts what a worker handles, and here it is the workers of "
                f"{inner!r} that do: give it to the Prefork inside"
            )
