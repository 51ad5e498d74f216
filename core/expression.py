"""The expression that builds an object."""

from __future__ import annotations

from types import FunctionType
from typing import Any

# CO_VARARGS and CO_VARKEYWORDS of the module `inspect`. It is not imported here: a signal handler
# may ask for the status of a server while the main thread is in any import, and before Python 3.12
# an import in such a handler makes that one fail with a KeyError.
_TAKES_MORE = 0x04
_TAKES_MORE_BY_NAME = 0x08


def expression(built: object) -> str:
    """The expression that builds `built`: its class, with the arguments that differ from defaults.

    Each argument of the constructor is read back from the attribute of the same name. Imports
    nothing and takes no lock.
    """
    constructor = _unwrapped(type(built).__init__)
    if isinstance(constructor, FunctionType):
        shown = ", ".join(_arguments(built, constructor))
    else:  # one in C, of which only `object`'s is known to take none
        shown = "" if constructor is object.__init__ else "..."
    return f"{type(built).__name__}({shown})"


def _unwrapped(function: Any) -> Any:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _arguments(built: object, constructor: FunctionType) -> list[str]:
    code = constructor.__code__
    end = code.co_argcount + code.co_kwonlyargcount
    positional = code.co_varnames[1 : code.co_argcount]
    by_name = code.co_varnames[code.co_argcount : end]
    rest = iter(code.co_varnames[end:])
    more = getattr(built, next(rest)) if code.co_flags & _TAKES_MORE else ()
    more_by_name = getattr(built, next(rest)) if code.co_flags & _TAKES_MORE_BY_NAME else {}

    found = constructor.__defaults__ or ()
    defaults = dict(zip(positional[len(positional) - len(found) :], found, strict=True))
    shown: list[str] = []
    in_order = True
    for name in positional:
        value = getattr(built, name)
        if not more and name in defaults and value == defaults[name]:
            in_order = False
        else:
            shown.append(repr(value) if in_order else f"{name}={value!r}")
    shown += map(repr, more)
    defaults = constructor.__kwdefaults__ or {}
    for name in by_name:
        value = getattr(built, name)
        if name not in defaults or value != defaults[name]:
            shown.append(f"{name}={value!r}")
    return shown + [f"{name}={value!r}" for name, value in more_by_name.items()]
