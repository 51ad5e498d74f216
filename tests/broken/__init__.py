"""Strategies that each break one clause of the contract, by the name of the clause."""

from __future__ import annotations

from . import connections, errors, leaving, nesting, room, stopping

BROKEN = {
    **connections.CLAUSES,
    **errors.CLAUSES,
    **leaving.CLAUSES,
    **nesting.CLAUSES,
    **room.CLAUSES,
    **stopping.CLAUSES,
}
