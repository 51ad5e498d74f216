"""What builds a strategy, found by its place: `module:Name`."""

from __future__ import annotations

from collections.abc import Callable

from serverstrategy.strategy import Strategy

from .sizing import is_sizing

Builder = Callable[..., object]
"""A class of strategies or sizings, or a function that returns one."""


class LoadError(Exception):
    """What is at a place cannot be used. The text is the reason."""


def load(place: str) -> Builder:
    """Import the module that `place` names, and return the class or function in it.

    Raises:
        LoadError: there is none, it is neither a class of strategies nor a function, or the import
            raised anything whatever but a KeyboardInterrupt, which goes through.
    """
    module, _, qualified_name = place.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *qualified_name.split("."))):
        raise LoadError(f"{place!r} is no place of the form module:Name")
    from importlib import import_module

    try:
        found: object = import_module(module)
        for name in qualified_name.split("."):
            found = getattr(found, name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may also say SystemExit
        raise LoadError(reason(error)) from error
    return _check(found)


def _check(found: object) -> Builder:
    if isinstance(found, type):
        if issubclass(found, Strategy) or is_sizing(found):
            return found
        what = f"the class {found.__qualname__}"
    elif isinstance(found, Strategy):
        what = "a strategy that is built already, which only one server could use"
    elif callable(found):
        return found
    else:
        what = f"of the type {type(found).__qualname__}"
    raise LoadError(f"it is no subclass of Strategy and no function that returns one, but {what}")


def reason(error: BaseException) -> str:
    """An error in one line, with its type."""
    try:
        said = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - it is the error's own
        said = ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
