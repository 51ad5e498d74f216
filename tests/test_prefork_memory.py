"""What workers share with their parent stays shared, though they run the garbage collector."""

from __future__ import annotations

from functools import partial
from statistics import mean

import psutil
import pytest

from boards import has_started, hold, look
from probes import probing, wait_until

pytestmark = pytest.mark.skipif(
    not hasattr(psutil.Process().memory_full_info(), "pss"),
    reason="the system does not tell who has a page",
)

OBJECTS = 200_000


def memory(strategy: str, **options: object) -> tuple[float, float]:
    """The private memory of a worker that has run the collector, and its PSS, in megabytes."""
    with probing(strategy, objects=OBJECTS, **options) as probe:
        assert wait_until(partial(has_started, probe, 2))
        for _ in range(3):
            clients = hold(probe, 2)
            for client in clients:
                assert client.ask("collect") is not None
                client.close()
            assert wait_until(lambda: not any(each["in_flight"] for each in look(probe)))
        infos = [psutil.Process(each["pid"]).memory_full_info() for each in look(probe)]
        probe.stop()
    return mean(each.uss for each in infos) / 1e6, mean(each.pss for each in infos) / 1e6


@pytest.mark.parametrize("strategy", ["Prefork(2)", "Prefork(1, Prefork(2))"])
def test_the_collector_copies_no_pages(strategy: str) -> None:
    private, pss = memory(strategy)
    without, pss_without = memory(strategy, hooks=["no_freeze"])
    # What the collector writes to are at least the lists, 200,000 times 80 bytes.
    assert private + 10.0 < without
    assert pss + 5.0 < pss_without
