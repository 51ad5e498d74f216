"""The command: `python -m serverstrategy`, or `serverstrategy`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

# By name: the module that has `main(arguments)`, which returns the exit status; and the help.
_COMMANDS = {
    "compare": (
        "serverstrategy.compare.command",
        "compare the strategies on real connections, on this machine",
    ),
    "check": (
        "serverstrategy.strategies.check_command",
        "check a strategy against the contract, clause by clause",
    ),
    "strategies": (
        "serverstrategy.strategies.command",
        "list the strategies, also those of installed packages",
    ),
}

_EXAMPLES = """\
examples:
  serverstrategy strategies
  serverstrategy compare
  serverstrategy check 'mypackage:MyStrategy(3)'
  serverstrategy compare --strategy 'Prefork(4, ThreadPool(8))' --workload wait
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name (by default those of the command line).

    Returns:
        The exit status: 0 for success, 2 for wrong arguments, or that of the command.
    """
    if arguments is None:
        arguments = sys.argv[1:]
        _import_from_here()
    if not arguments:
        print(_help(), end="", file=sys.stderr)
        return 2
    command, *rest = arguments
    if command in ("-h", "--help", "help"):
        print(_help(), end="")
        return 0
    if command in _COMMANDS:
        module, _ = _COMMANDS[command]
        status: int = import_module(module).main(rest)
        return status
    print(f"serverstrategy: there is no command {command!r}: try --help", file=sys.stderr)
    return 2


def _help() -> str:
    width = max(map(len, _COMMANDS))
    lines = [f"  {name:{width}}  {what}" for name, (_, what) in _COMMANDS.items()]
    return "\n".join(
        [
            "usage: serverstrategy COMMAND [OPTION ...]\n",
            "commands:",
            *lines,
            "\n  serverstrategy COMMAND --help tells the options of a command.\n",
            _EXAMPLES,
        ]
    )


def _import_from_here() -> None:
    """Let the console script find modules in the current folder, as `python -m` does."""
    here = str(Path.cwd())
    if not sys.flags.safe_path and here not in sys.path:
        sys.path.insert(0, here)


if __name__ == "__main__":
    sys.exit(main())
