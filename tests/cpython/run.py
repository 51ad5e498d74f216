"""Runs one of CPython's own suites with our servers in the place of those of `socketserver`.

Prints a line of JSON for each test, and at last the verdict: a list of what is not as it should be,
by the list of differences. To be called in an empty folder.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
import unittest
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from differences import Difference, differences
from recorder import Recorder, identifier, what_is_left
from substitutes import WAYS, install, made
from suites import RUNS, SLEEPING, SUITES

# When to give up, in seconds: less than whoever calls this waits for it.
_LIMIT = 100.0


def main() -> int:
    """Run the suite that the command line names; return 0 if all is as it should be."""
    arguments = _arguments()
    report = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the tests print is no report
    os.environ["TMPDIR"] = str(Path.cwd())  # some tests need both to be the same folder
    faulthandler.dump_traceback_later(_LIMIT, exit=True)
    overrides = {name: getattr(arguments, name) for name in _OVERRIDABLE}
    run = replace(RUNS[arguments.run], **{k: v for k, v in overrides.items() if v is not None})
    install(run.way, run.plain, run.threading, run.forking, run.grace_period)
    support = import_module("test.support")
    support.use_resources = list(run.resources)
    listed = differences(arguments.suite, arguments.run)
    recorder = Recorder(report)
    left_out = {test: each.reason for test, each in listed.items() if each.waits}
    if "walltime" not in run.resources:
        left_out |= dict.fromkeys(SLEEPING, "it sleeps for seconds")
    _without(left_out, _load(arguments.suite, arguments.only), recorder).run(recorder)
    verdict = [] if arguments.only else _judge(recorder.outcomes, listed)
    verdict += [f"{each} is left" for each in what_is_left()]
    if not made:
        verdict.append("no server was given a strategy")
    recorder.write(verdict=verdict, strategies=Counter(made))
    return 1 if verdict else 0


_OVERRIDABLE = ("way", "plain", "threading", "forking")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("only", nargs="*", help="Class or Class.test; no verdict is given then")
    parser.add_argument("--run", choices=RUNS, default="own", help="the way to run it")
    parser.add_argument("--way", choices=WAYS, help="instead of the run's: where strategies go")
    parser.add_argument("--plain", metavar="STRATEGY", help="instead of the run's, as below")
    parser.add_argument("--threading", metavar="STRATEGY", help="with ThreadingMixIn")
    parser.add_argument("--forking", metavar="STRATEGY", help="with ForkingMixIn")
    return parser.parse_args()


def _load(suite: str, only: list[str]) -> unittest.TestSuite:
    module = import_module(f"test.{suite}")
    loader = unittest.defaultTestLoader
    names = only or SUITES[suite]
    if not names:
        return loader.loadTestsFromModule(module)
    return loader.loadTestsFromNames(names, module)


def _without(
    left_out: Mapping[str, str], suite: unittest.TestSuite, recorder: Recorder
) -> unittest.TestSuite:
    """The tests of `suite` but those that are `left_out`, of which the reasons are recorded."""
    kept = unittest.TestSuite()
    for test in _flat(suite):
        reason = left_out.get(identifier(test))
        if reason is None:
            kept.addTest(test)
        else:
            recorder.leave_out(test, reason)
    return kept


def _flat(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from _flat(each)
        else:
            yield each


def _judge(outcomes: Mapping[str, str], listed: Mapping[str, Difference]) -> list[str]:
    """What is not as the list of differences has it."""
    verdict = [
        f"{test} failed" for test, how in outcomes.items() if how == "failed" and test not in listed
    ]
    for test, difference in listed.items():
        how = outcomes.get(test, "does not exist")
        if how == "does not exist" or (how == "passed" and not difference.timing):
            verdict.append(f"{test} {how}, although it is on the list: {difference.reason}")
    return verdict if outcomes else ["there are no tests"]


if __name__ == "__main__":
    sys.exit(main())
