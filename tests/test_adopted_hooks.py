"""What a class overrides is called as by the standard library, whatever subset it is."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from adopting import ANY_PORT, Quiet, QuietThreading, Shout, ask
from serverstrategy import adopt, with_strategy
from serverstrategy.strategies import Synchronous, Threaded

OF_A_CONNECTION = [
    "get_request",
    "verify_request",
    "process_request",
    "finish_request",
    "handle_error",
    "shutdown_request",
    "close_request",
]
OF_A_THREAD = [*OF_A_CONNECTION, "process_request_thread"]


def overriding(base: type, names: tuple[str, ...]) -> type:
    """A class that overrides the methods `names` of `base`, each noting its call."""

    def overridden(name: str) -> Callable[..., Any]:
        def method(self: Any, *arguments: Any) -> Any:
            self.calls.append(name)
            return getattr(super(cls, self), name)(*arguments)

        return method

    def process_request(self: Any, request: Any, client_address: Any) -> None:
        self.calls.append("process_request")
        super(cls, self).process_request(request, client_address)

    made = {name: overridden(name) for name in names} | {"calls": []}
    if "process_request" in names:
        made["process_request"] = process_request
    cls = type("Overriding", (base,), made)
    return cls


def calls(cls: Any, give: Callable[[Any], Any]) -> list[str]:
    """The calls for a connection that is served and for one that fails, in their order."""
    found: list[str] = []
    for line, answer in ((b"hi\n", b"HI\n"), (b"fail\n", b"")):
        with give(cls)(ANY_PORT, Shout) as server:
            server.calls = found
            answers: list[bytes] = []
            client = threading.Thread(target=lambda: answers.append(ask(server, line)))  # noqa: B023
            client.start()
            server.handle_request()
            client.join()
            assert answers == [answer]
    return found


@pytest.mark.parametrize("size", range(len(OF_A_CONNECTION) + 1))
@pytest.mark.parametrize("way", ["adopt", "class"])
def test_every_subset_of_the_hooks_is_called_as_by_the_standard_library(
    size: int, way: str
) -> None:
    gives: dict[str, Callable[[Any], Any]] = {
        "adopt": lambda cls: lambda *arguments: adopt(cls(*arguments), Synchronous()),
        "class": lambda cls: with_strategy(cls, Synchronous),
    }
    for names in itertools.combinations(OF_A_CONNECTION, size):
        cls = overriding(Quiet, names)
        expected = calls(cls, lambda cls: cls)
        assert calls(cls, gives[way]) == expected
        assert set(expected) == set(names)


@pytest.mark.parametrize("size", range(len(OF_A_THREAD) + 1))
def test_every_subset_of_the_hooks_of_a_threading_server_is_called_as_before(size: int) -> None:
    for names in itertools.combinations(OF_A_THREAD, size):
        cls = overriding(QuietThreading, names)
        expected = calls(cls, lambda cls: cls)
        assert calls(cls, lambda cls: with_strategy(cls, Threaded)) == expected
        assert set(expected) == set(names)
