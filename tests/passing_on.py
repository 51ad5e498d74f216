"""Server classes with each hook overridden by one that only passes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

HOOKS = (
    "get_request",
    "verify_request",
    "process_request",
    "process_request_thread",
    "finish_request",
    "shutdown_request",
    "close_request",
    "handle_error",
    "handle_timeout",
)


def overridden(cls: type) -> type:
    """Derive a class that behaves as `cls` does, though none of its hooks is that of `cls`."""
    derived = type(cls.__name__, (cls,), {})
    for name in HOOKS:
        setattr(derived, name, _passing_on(derived, name))
    return derived


def _passing_on(derived: type, name: str) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any) -> Any:
        return getattr(super(derived, self), name)(*arguments)

    method.__name__ = name
    return method
