"""A load: what is asked of the servers, and what is measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from .client import Client
from .contestant import Contestant
from .figure import Figure

Sample = Mapping[Figure, float]
"""What one measurement of one server gave."""

LINE = "hello, world\n"
REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

AGAIN = ", once more"
"""After the name of a control: it is measured twice in each round."""


class Load(ABC):
    """One load.

    Args:
        name: the word that chooses it.
        summary: what it is, in one line.
        subjects: the servers that it makes sense for; the first is the control.
        duty: what their handlers do, see `subjects.duty`.

    Attributes:
        figures: what it measures. The first is given as a ratio to that of the control.
        most_rounds: more rounds tell no more, where a figure is a count; None: as many as asked.
    """

    figures: Sequence[Figure] = ()
    most_rounds: int | None = None

    def __init__(
        self, name: str, summary: str, subjects: Sequence[str], duty: str = "echo"
    ) -> None:
        self.name = name
        self.summary = summary
        self.subjects = subjects
        self.duty = duty

    @property
    def control(self) -> str:
        """The server that the others are compared to."""
        return self.subjects[0]

    def start(self, name: str) -> AbstractContextManager[Any]:
        """What `measure` measures, through all rounds: the server of this name."""
        return Contestant(name, self.duty)

    @abstractmethod
    def measure(self, contestant: Any, client: Client) -> Sample:
        """Measure it once.

        Raises:
            OSError, RuntimeError: it fails, or the client does.
        """

    def why_not(self) -> str | None:
        """Why it cannot be measured on this machine, if so."""
        return None

    def exchange(self) -> dict[str, str]:
        """What each connection sends, and how each answer must end: the client's arguments."""
        if self.duty == "hello":
            return {"message": REQUEST, "expected": LINE}
        return {"message": LINE, "expected": LINE}
