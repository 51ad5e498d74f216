"""What strategies there are, with their parameters, and where each one comes from."""

from __future__ import annotations

import contextlib
import inspect
import reprlib
from collections.abc import Sequence
from importlib import metadata
from typing import Any, NamedTuple

from .place import Builder, LoadError
from .plugin import Plugin, installed
from .registry import BOX

OWN_PACKAGE = "serverstrategy"

OK = "ok"
HIDDEN = "hidden"
BROKEN = "broken"


class Listed(NamedTuple):
    """One strategy of the list.

    Attributes:
        name: by which a text names it.
        place: where it is, as `module:Name`.
        package: the package that it comes from.
        version: of the package; empty if it has none.
        state: `"ok"`; `"hidden"` if it can only be named by its place; `"broken"` if it cannot be
            used.
        reason: why it is not `"ok"`.
        parameters: what builds it; None if that cannot be known.
        summary: the first line of its docstring.
    """

    name: str
    place: str
    package: str
    version: str
    state: str = OK
    reason: str | None = None
    parameters: Sequence[inspect.Parameter] | None = None
    summary: str = ""


def listing() -> list[Listed]:
    """Every strategy: those in the box first. Imports what the installed packages declare."""
    try:
        version = metadata.version(OWN_PACKAGE)
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        version = ""
    own = [
        _described(Listed(name, f"{each.__module__}:{name}", OWN_PACKAGE, version), each)
        for name, each in BOX.items()
    ]
    plugins = installed()
    return own + [_listed(each, plugins) for each in plugins]


def _listed(plugin: Plugin, plugins: Sequence[Plugin]) -> Listed:
    listed = Listed(plugin.name, plugin.place, plugin.package, plugin.version)
    try:
        listed = _described(listed, plugin.load())
    except LoadError as error:
        return listed._replace(state=BROKEN, reason=str(error))
    why = _why_hidden(plugin, plugins)
    return listed._replace(state=HIDDEN, reason=why) if why else listed


def _why_hidden(plugin: Plugin, plugins: Sequence[Plugin]) -> str | None:
    others = [each for each in plugins if each.name == plugin.name and each is not plugin]
    if plugin.name in BOX:
        why = f"{OWN_PACKAGE} has a strategy of this name"
    elif not plugin.has_usable_name():
        why = "the name is none that Python could read"
    elif others:
        why = f"ambiguous, as {', '.join(each.origin for each in others)} has this name too"
    else:
        return None
    return f"{why}: write {plugin.place}"


def _described(listed: Listed, builder: Builder) -> Listed:
    parameters: Sequence[inspect.Parameter] | None = None
    # ValueError: it has no signature; anything: what a metaclass or a decorator makes of one.
    with contextlib.suppress(Exception):
        parameters = tuple(inspect.signature(builder).parameters.values())
    # The docstring of the class itself, where inspect.getdoc gives that which it inherits.
    doc = builder.__doc__ if isinstance(builder.__doc__, str) else ""
    summary = inspect.cleandoc(doc).partition("\n")[0]
    return listed._replace(parameters=parameters, summary=summary)


def parameters_in_words(parameters: Sequence[inspect.Parameter] | None) -> str:
    """The parameters as in a `def`, without annotations: `workers=None, inner=None`."""
    if parameters is None:
        return "(not known)"
    shown = [
        each.replace(
            annotation=each.empty,
            default=each.empty if each.default is each.empty else _Shown(each.default),
        )
        for each in parameters
    ]
    return str(inspect.Signature(shown))[1:-1]


def as_json(listed: Listed) -> dict[str, Any]:
    """One strategy as plain values."""
    parameters = None
    if listed.parameters is not None:
        parameters = [_parameter(each) for each in listed.parameters]
    return {**listed._asdict(), "parameters": parameters}


def _parameter(parameter: inspect.Parameter) -> dict[str, Any]:
    has_default = parameter.default is not parameter.empty
    return {
        "name": parameter.name,
        "kind": parameter.kind.description,
        "default": repr(_Shown(parameter.default)) if has_default else None,
    }


class _Shown:
    """A default value, for `str` of a signature: in short, whatever its own `repr` does."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return " ".join(reprlib.repr(self._value).split())
