"""Our classes in the places of the standard library's, in the module `socketserver` itself."""

from __future__ import annotations

import socketserver
from collections.abc import Iterator
from typing import Any

import pytest

import serverstrategy
from adopting import ANY_PORT, Shout, ask, serving
from serverstrategy import Strategy, adopt, with_strategy
from serverstrategy.strategies import Synchronous, Threaded

NAMES = ["TCPServer", "UDPServer", "UnixStreamServer", "UnixDatagramServer"]

# What a module has that was imported before.
BEFORE = socketserver.TCPServer


@pytest.fixture(params=[NAMES, [*NAMES, "BaseServer"]], ids=["without-base", "with-base"])
def substituted(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in request.param:
        monkeypatch.setattr(socketserver, name, getattr(serverstrategy, name))
    return


def server_classes() -> dict[str, Any]:
    class Mixed(socketserver.ThreadingMixIn, socketserver.TCPServer):
        pass

    class Old(BEFORE):
        pass

    return {"Mixed": Mixed, "Old": Old, "ThreadingTCPServer": socketserver.ThreadingTCPServer}


@pytest.mark.usefixtures("substituted")
@pytest.mark.parametrize("name", ["Mixed", "Old", "ThreadingTCPServer"])
class TestSubstitution:
    def test_a_server_works_without_a_strategy(self, name: str) -> None:
        with server_classes()[name](ANY_PORT, Shout) as server, serving(server):
            assert ask(server) == b"HI\n"

    @pytest.mark.parametrize("make_strategy", [Synchronous, Threaded])
    @pytest.mark.parametrize("way", ["adopt", "class"])
    def test_a_server_can_be_given_a_strategy(
        self, name: str, way: str, make_strategy: type[Strategy]
    ) -> None:
        cls = server_classes()[name]
        if way == "adopt":
            server = adopt(cls(ANY_PORT, Shout), make_strategy())
        else:
            server = with_strategy(cls, make_strategy)(ANY_PORT, Shout)
        with server, serving(server):
            assert isinstance(server, socketserver.ThreadingMixIn) == (make_strategy is Threaded)
            assert ask(server) == b"HI\n"
            server.server_close()
            assert server.in_flight.others() == []

    def test_a_strategy_that_a_class_makes_is_used_by_a_mix_in_too(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if name != "Mixed":
            pytest.skip("it is not built on ours")
        monkeypatch.setattr(serverstrategy.BaseServer, "make_strategy", Synchronous)
        with server_classes()[name](ANY_PORT, Shout) as server, serving(server):
            assert not isinstance(server, socketserver.ThreadingMixIn)
            assert ask(server) == b"HI\n"
