"""`service_actions`: the hook whose being overridden makes the accept loop tick."""

from __future__ import annotations

from typing import Any


class ServiceActions:
    """The hook as long as no class overrides it; an instance may replace it at any time.

    Our own loop does not call it then, since it hears of what there is to do. For another loop it
    reaps the children, as that of `socketserver.ForkingMixIn` does.

    A loop that nobody has to tick for sleeps until something happens, so it has to be woken when
    somebody asks for ticks by `server.service_actions = ...`.
    """

    def __get__(self, server: Any, owner: type | None = None) -> Any:
        if server is None:
            return self
        if _class_overrides(server):  # and calls this one by `super()`
            return server.collect_children
        return vars(server).get("service_actions", server.collect_children)

    def __set__(self, server: Any, function: object) -> None:
        vars(server)["service_actions"] = function
        server._serverstrategy.serving.acceptors.wake()

    def __delete__(self, server: Any) -> None:
        if vars(server).pop("service_actions", None) is None:
            raise AttributeError("service_actions")


def is_overridden(server: object) -> bool:
    """Whether somebody wants ticks: a subclass, or who has set it on the instance."""
    return _class_overrides(server) or "service_actions" in vars(server)


def _class_overrides(server: object) -> bool:
    return not isinstance(type(server).service_actions, ServiceActions)  # type: ignore[attr-defined]
