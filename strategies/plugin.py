"""Strategies of installed packages, which declare them by entry points."""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING, NamedTuple

from .place import Builder, LoadError, load, reason

if TYPE_CHECKING:
    from importlib.metadata import Distribution

GROUP = "serverstrategy.strategies"
"""The group of the entry points."""


class Plugin(NamedTuple):
    """A strategy that an installed package declares. It is not imported before `load`.

    Attributes:
        name: of the entry point; empty if the package's entry points cannot be read.
        place: where the class or function is, as `module:Name`.
        package: the name of the package as it is installed.
        version: of the package; empty if it has none.
        fault: why the entry points cannot be read, if they cannot.
    """

    name: str
    place: str
    package: str
    version: str
    fault: str | None = None

    @property
    def origin(self) -> str:
        """The package with its version."""
        return f"{self.package} {self.version}".rstrip()

    def has_usable_name(self) -> bool:
        """Whether the name can be written where a strategy is wanted."""
        return self.name.isidentifier() and not keyword.iskeyword(self.name)

    def load(self) -> Builder:
        """Import the class or function.

        Raises:
            LoadError: it cannot be used.
        """
        if self.fault is not None:
            raise LoadError(self.fault)
        return load(self.place)


def installed() -> list[Plugin]:
    """What the packages on `sys.path` declare, by name and package. Imports none of it.

    A package whose entry points cannot be read is in the list too, with the fault.
    """
    from importlib import metadata  # here, because it costs more to import than this package

    found: dict[str, list[Plugin]] = {}
    for distribution in metadata.distributions():
        plugins = _declared_by(distribution)
        if plugins:
            # The first on the path hides another version of the same package.
            found.setdefault(_normal(plugins[0].package), plugins)
    return sorted(plugin for plugins in found.values() for plugin in plugins)


def _declared_by(distribution: Distribution) -> list[Plugin]:
    # Package by package, and not by metadata.entry_points(), which one bad file makes fail for all.
    try:
        if GROUP not in (distribution.read_text("entry_points.txt") or ""):
            return []
        points = distribution.entry_points.select(group=GROUP)
        return [
            Plugin(point.name, _place(point.value), *_identity(distribution)) for point in points
        ]
    except Exception as error:  # noqa: BLE001 - of another package's files
        fault = f"its entry points cannot be read: {reason(error)}"
        return [Plugin("", "", *_identity(distribution), fault)]


def _place(value: str) -> str:
    """The value of an entry point without spaces, and without extras, which mean nothing here."""
    return "".join(value.partition("[")[0].split())


def _identity(distribution: Distribution) -> tuple[str, str]:
    try:
        fields = distribution.metadata
        return fields["Name"] or "(no name)", fields["Version"] or ""
    except Exception:  # noqa: BLE001 - of another package's files
        return "(no name)", ""


def _normal(package: str) -> str:
    return package.lower().replace("_", "-").replace(".", "-")
