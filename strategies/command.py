"""The command `strategies`: prints the list of what there is."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

from ._columns import columns
from ._output import drop_output
from .listing import BROKEN, HIDDEN, OK, Listed, as_json, listing, parameters_in_words

FORMAT = 1  # of the JSON
NO_TERMINAL = 10_000  # columns: what goes to a file or a pipe is not wrapped, so that grep works

DESCRIPTION = """\
List the strategies that can be named on a command line or in strategies.parse: those in the box,
and those that installed packages declare as entry points of the group serverstrategy.strategies.
"""

EXAMPLES = """\
examples:
  serverstrategy strategies
  serverstrategy strategies --json | jq -r '.strategies[] | select(.state == "broken") | .reason'

A strategy of an installed package is hidden if its name is that of one in the box, or that of one
of another package: it is named by its place then, as is one of no package: 'module:Name(3)'.

exit status: 0; 1 if a strategy is broken, which does not disturb the others, or the list could not
be written; 2 if the options are wrong.
"""


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: the options, without the word `strategies`.

    Returns:
        The exit status: 0; 1 if a strategy is broken or the list cannot be written.

    Raises:
        SystemExit: for `--help` and for options that argparse refuses.
    """
    parser = argparse.ArgumentParser(
        prog="serverstrategy strategies",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON, for programs")
    options = parser.parse_args(argv)
    # The module of a plug-in may print when it is imported.
    with contextlib.redirect_stdout(sys.stderr):
        found = listing()
    width = shutil.get_terminal_size((NO_TERMINAL, 0)).columns
    if not _print(as_document(found) if options.json else as_table(found, width)):
        return 1
    return 1 if any(each.state == BROKEN for each in found) else 0


def as_document(found: Iterable[Listed]) -> str:
    """The list as JSON."""
    document = {"format": FORMAT, "strategies": [as_json(each) for each in found]}
    return json.dumps(document, indent=2) + "\n"


def as_table(found: Sequence[Listed], width: int) -> str:
    """The list for people, in lines of at most `width` characters."""
    rows = [("strategy", "parameters", "what it is for", "package")]
    for each in found:
        if each.state == OK:
            origin = f"{each.package} {each.version}".rstrip()
            rows.append((each.name, parameters_in_words(each.parameters), each.summary, origin))
    return (
        columns(rows, width)
        + _section("hidden", [each for each in found if each.state == HIDDEN], width)
        + _section("broken", [each for each in found if each.state == BROKEN], width)
    )


def _section(title: str, found: Sequence[Listed], width: int) -> str:
    lines = ["", f"{title}:"] if found else []
    for each in found:
        name = f"{each.name} ({each.place})" if each.name else "all"
        text = f"{name} of {each.package} {each.version}".rstrip() + f": {each.reason}"
        lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")
    return "".join(f"{line}\n" for line in lines)


def _print(text: str) -> bool:
    """Write to standard output, and say so on standard error where that fails."""
    with contextlib.suppress(AttributeError):  # it may be somebody's own object
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        drop_output()
        if not isinstance(error, BrokenPipeError):  # the reader has seen enough
            print(f"serverstrategy strategies: cannot write: {error.strerror}", file=sys.stderr)
        return False
    return True
