"""Which name means which strategy: those in the box, and those of installed packages."""

from __future__ import annotations

from serverstrategy.strategy import Strategy

from .fallback import Fallback
from .forking import Forking
from .limit import Limit
from .per_client import PerClient
from .place import Builder, LoadError, load
from .plugin import GROUP, Plugin, installed
from .prefork import Prefork
from .sizing import Adaptive, Fixed
from .synchronous import Synchronous
from .thread_pool import ThreadPool
from .threaded import Threaded

# Found without a look at what is installed, which takes longer than all else here together.
BOX: dict[str, type[Strategy]] = {
    each.__name__: each
    for each in (
        Synchronous,
        Threaded,
        ThreadPool,
        Forking,
        Prefork,
        Limit,
        PerClient,
        Fallback,
    )
}

# What a strategy in the box may be given, beside other strategies.
PARTS: dict[str, Builder] = {each.__name__: each for each in (Adaptive, Fixed)}


def find(name: str) -> Builder:
    """What builds the strategy `name`, or a part of one. A name of ours never means anything else.

    Raises:
        ValueError: nothing has this name, several packages have it, or it cannot be loaded.
    """
    for ours in (BOX, PARTS):
        if name in ours:
            return ours[name]
    everything = installed()
    plugins = [each for each in everything if each.name == name]
    if not plugins:
        faults = "".join(f"; {each.origin}: {each.fault}" for each in everything if each.fault)
        raise ValueError(f"there is no strategy {name!r}{_did_you_mean(name)}; {known()}{faults}")
    plugin, *others = plugins
    if others:
        raise ValueError(f"the strategy {name!r} is ambiguous: {_choice(plugins)}")
    try:
        return plugin.load()
    except LoadError as error:
        raise ValueError(
            f"the strategy {name!r} of {plugin.origin} ({plugin.place}) cannot be loaded: {error}"
        ) from error


def find_at(place: str, *, allow_import: bool) -> Builder:
    """What builds the strategy at `place`, written `module:Name`.

    Raises:
        ValueError: it cannot be loaded; or it is not allowed: no installed package declares it,
            and `allow_import` is False.
    """
    if not allow_import and all(each.place != place for each in installed()):
        raise ValueError(
            f"{place!r} is code to import, which this text may not name: no installed package "
            f"declares it as an entry point of the group {GROUP!r}"
        )
    try:
        return load(place)
    except LoadError as error:
        raise ValueError(f"{place!r} cannot be loaded: {error}") from error


def known() -> str:
    """The names in words."""
    return f"the strategies are {', '.join(_names())}"


def _names() -> list[str]:
    return [*dict.fromkeys([*BOX, *(each.name for each in installed() if each.has_usable_name())])]


def _choice(plugins: list[Plugin]) -> str:
    return "write " + " or ".join(f"{each.place} (of {each.origin})" for each in plugins)


def _did_you_mean(name: str) -> str:
    import difflib

    by_lower = {known.lower(): known for known in [*_names(), *PARTS]}
    close = [known for known in by_lower if known.startswith(name.lower())]
    close += difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""
