"""The command: `python -m serverstrategy`, or `serverstrategy`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_HELP = """\
usage: serverstrategy COMMAND [OPTION ...]

commands:
  compare    compare the strategies on real connections, on this machine

  serverstrategy COMMAND --help tells the options of a command.

examples:
  serverstrategy compare
  serverstrategy compare --strategy 'Prefork(4, ThreadPool(8))' --workload wait
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name (by default those of the command line).

    Returns:
        The exit status: 0 for success, 2 for wrong arguments, or that of the command.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:
        print(_HELP, end="", file=sys.stderr)
        return 2
    command, *rest = arguments
    if command in ("-h", "--help", "help"):
        print(_HELP, end="")
        return 0
    if command == "compare":
        from serverstrategy.compare import command as compare

        return compare.main(rest)
    print(f"serverstrategy: there is no command {command!r}: try --help", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
