"""Names of a package that are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def late_names(
    names: dict[str, Any], modules: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a package (PEP 562).

    Args:
        names: the package's `globals()`.
        modules: by name, the module that has it, as `import_module` takes it.
    """
    package = names["__name__"]

    def get(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        value = names[name] = getattr(import_module(modules[name], package), name)
        return value

    def listed() -> list[str]:
        return sorted({*names, *names["__all__"]})

    return get, listed
