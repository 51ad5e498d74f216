"""Packages that are installed, as far as Python can tell: a module beside a .dist-info folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

GROUP = "serverstrategy.strategies"

# What most of the modules hold.
POOLS = '''
from serverstrategy import Strategy
from serverstrategy.strategies import Threaded


class Pool(Strategy):
    """Handles connections in a pool.

    It is a fake.
    """

    def __init__(self, size: int = 3, *, name: str = "pool", inner: Strategy | None = None) -> None:
        self.size = size
        self.name = name
        self.inner = inner

    class Nested(Strategy):
        pass


class NoStrategy:
    """No strategy."""


def make(limit=5):
    """Makes one."""
    return Threaded(limit)


def make_nothing():
    return 7


def make_trouble():
    raise KeyError("key")


BUILT = Pool()
'''


def install(
    folder: Path,
    package: str,
    entry_points: Mapping[str, str] | str,
    modules: Mapping[str, str],
    version: str | None = "1.0",
) -> None:
    """Put a package into a folder that is, or will be, on the path.

    Args:
        folder: the place of `site-packages`.
        package: the name of the package.
        entry_points: places by name; or the text of the whole file.
        modules: their texts by name.
        version: of the package; None: without METADATA.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(dedent(text))
    info = folder / f"{package.replace('-', '_')}-{version or '0'}.dist-info"
    info.mkdir()
    if version is not None:
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        )
    if not isinstance(entry_points, str):
        lines = [f"{name} = {place}\n" for name, place in entry_points.items()]
        entry_points = f"[{GROUP}]\n" + "".join(lines)
    (info / "entry_points.txt").write_text(entry_points)
