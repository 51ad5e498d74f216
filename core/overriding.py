"""What an overridden `process_request` is for, as far as its code shows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

from . import standard

_NAME = "process_request"


def replaced_methods(order: list[type], ours: Callable[..., Any]) -> dict[str, Any]:
    """The methods that an adopted class needs in place of those that its classes define.

    A class that overrides `process_request` does one of three things in it:

    - It calls `super().process_request` besides something else, such as taking a slot. It stays,
      and `super` is ours. The same for the threading mix-in's by name, which `Threads` redirects.
    - It runs the handler itself, by a call of `finish_request`, or of the `process_request` of a
      server class by name. It becomes what the strategy runs, in the thread or the process that it
      chooses.
    - It gives the connection to a thread, a pool or a process of its own. That is what a strategy
      is for: `ours` takes its place.

    Args:
        order: the classes in their method resolution order.
        ours: the `process_request` that asks the strategy; the order ends for us where it stands.
    """
    chain = list(_until(order, ours))
    before, last = chain[:-1], chain[-1:]
    if not chain or not all(_goes_on(each) for each in before):
        return {_NAME: ours} if chain else {}
    if _goes_on(last[0]):
        return {}
    if _NAME in _names(last[0]):
        if standard.ThreadingMixIn in order:
            return {}
        runs_handler = not any(each in order for each in standard.MIX_INS)
    else:
        runs_handler = "finish_request" in _calls(last[0])
    return {_NAME: ours} | ({"process_request_thread": chain[0]} if runs_handler else {})


def _until(order: list[type], ours: Callable[..., Any]) -> Iterator[Any]:
    for cls in order:
        method = vars(cls).get(_NAME)
        if method is ours:
            return
        if method is not None:
            yield method


def calls_super(method: Any, name: str) -> bool:
    """Whether the function `method` calls `super().name(...)`, as far as its code shows."""
    return {"super", name} <= _names(method)


def _goes_on(method: Any) -> bool:
    # What is no plain function (a decorator's object, a mock) cannot be looked into: it stays.
    return _code(method) is None or calls_super(method, _NAME)


def _names(method: Any) -> set[str]:
    """The names that its code uses, and those of the functions that it makes."""
    found: set[str] = set()
    codes = [_code(method)]
    while codes:
        code = codes.pop()
        if code is not None:
            found.update(code.co_names)
            codes += [each for each in code.co_consts if isinstance(each, CodeType)]
    return found


def _calls(method: Any) -> set[str]:
    """The names of the methods that its own code calls, not those that it only hands on."""
    import dis  # here, because it costs more to import than the rest of this package

    code = _code(method)
    if code is None:
        return set()
    instructions = list(dis.get_instructions(code))
    return {
        each.argval
        for index, each in enumerate(instructions)
        if _loads_method(each) or _is_called_with_a_star(instructions, index)
    }


def _loads_method(instruction: Any) -> bool:
    if sys.version_info < (3, 12):
        return bool(instruction.opname == "LOAD_METHOD")
    return instruction.opname in ("LOAD_ATTR", "LOAD_SUPER_ATTR") and bool(instruction.arg & 1)


def _is_called_with_a_star(instructions: list[Any], index: int) -> bool:
    """Whether that is the attribute of `self.attribute(*arguments)`, which is no LOAD_METHOD."""
    # What is called stands next to a null: behind it up to CPython 3.12, before it since.
    null = index - 2 if sys.version_info < (3, 13) else index + 1
    around = instructions[null : null + 1]
    is_called = bool(around) and around[0].opname == "PUSH_NULL"
    return instructions[index].opname == "LOAD_ATTR" and is_called


def _code(method: Any) -> Any:
    import inspect

    function = inspect.unwrap(method) if callable(method) else method
    is_plain = isinstance(function, FunctionType)
    if is_plain and function.__module__ == standard.MODULE:  # an alias in a class's body
        return _nothing.__code__
    return function.__code__ if is_plain else None


def _nothing() -> None:
    """Stand in for a method of the standard library, which ours takes the place of."""
