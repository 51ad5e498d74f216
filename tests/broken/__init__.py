"""Strategies that each break one clause of the contract, by the name of the clause."""

from __future__ import annotations

from . import children, connections, draining, errors, leaving, nesting, room, stopping

BROKEN = {
    **connections.CLAUSES,
    **errors.CLAUSES,
    **leaving.CLAUSES,
    **children.CLAUSES,
    **nesting.CLAUSES,
    **room.CLAUSES,
    **stopping.CLAUSES,
    **draining.CLAUSES,
}
