"""Workers as plain data."""

from __future__ import annotations

import time
from typing import Any

from serverstrategy.strategy import Strategy

from ._scoreboard import Scoreboard
from ._slot import Slot
from ._worker_view import WorkerView


def workers_status(board: Scoreboard, inner: Strategy) -> list[dict[str, Any]]:
    """What each worker on `board`, which runs `inner`, is doing: see `Prefork.status`."""
    return [_status(slot, board, inner) for slot in board]


def _status(slot: Slot, board: Scoreboard, inner: Strategy) -> dict[str, Any]:
    # In this order, since the worker may write meanwhile: nothing is younger than now.
    started, since = slot.started, slot.since
    now = time.monotonic()
    return {
        "pid": slot.pid,
        "number": slot.number,
        "state": slot.state_name,
        "generation": slot.generation,
        "age": now - started,
        "since": now - since,
        "accepted": slot.connections,
        "errors": slot.errors,
        "in_flight": slot.in_flight,
        "inner": inner.status(WorkerView(slot, board.inside(slot))),  # type: ignore[arg-type]
    }
