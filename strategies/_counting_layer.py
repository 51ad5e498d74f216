"""What the layers have in common that count connections."""

from __future__ import annotations

from serverstrategy.ownership import nest
from serverstrategy.strategy import Strategy

from ._layer import Layer
from .prefork import Prefork


class CountingLayer(Layer):
    """A layer that reads `server.in_flight`, which holds the connections of one process.

    Raises:
        TypeError, ValueError: `inner` is no strategy, or has others accept, of whom this process
            does not know what they have in flight. A subclass sets its own attributes first, since
            the message shows where to put it instead.
    """

    def __init__(self, inner: Strategy) -> None:
        super().__init__(inner)
        prefork = next((part for part in nest(inner) if isinstance(part, Prefork)), None)
        if prefork is not None:
            written, self.inner = repr(self), prefork.inner
            raise ValueError(
                f"{written} would count in one process, and the workers accept in others: "
                f"write Prefork({prefork.workers}, {self!r}), which counts in each worker"
            )
