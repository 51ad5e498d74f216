"""The figures of the comparison: percentiles, and several rounds as one."""

import random
from collections import Counter

import pytest

from serverstrategy.compare.measures import Measures, of_run, percentile, together
from serverstrategy.compare.outcome import Outcome
from serverstrategy.compare.tree import Footprint


def test_percentile_is_the_nearest_rank() -> None:
    samples = [15.0, 20.0, 35.0, 40.0, 50.0]
    assert [percentile(samples, percent) for percent in (5, 30, 40, 50, 99, 100)] == [
        15.0,
        20.0,
        20.0,
        35.0,
        50.0,
        50.0,
    ]


def test_percentile_takes_samples_in_any_order() -> None:
    samples = [float(number) for number in range(1, 1001)]
    random.Random(7).shuffle(samples)
    assert percentile(samples, 99) == 990.0
    assert percentile(samples, 50) == 500.0
    assert percentile(samples, 99.9) == 999.0


def test_percentile_of_one_sample_is_that_sample() -> None:
    assert percentile([3.0], 1) == percentile([3.0], 100) == 3.0


@pytest.mark.parametrize("percent", [0, -1, 100.1, float("nan")])
def test_percentile_out_of_range_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="percent"):
        percentile([1.0], percent)


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


def test_rate_counts_what_ended_in_time_and_cpu_counts_all() -> None:
    outcome = Outcome(
        duration=2.0, completed=12, completed_in_time=10, latencies=[0.1] * 11 + [0.9]
    )
    measures = of_run(outcome, cpu_seconds=0.6, footprint=Footprint(1, 2, 3))
    assert measures.rate == 5.0
    assert measures.cpu == pytest.approx(0.05)
    assert (measures.p50, measures.p99) == (0.1, 0.9)


def test_a_run_without_an_answer_has_no_latency_and_no_cpu_per_connection() -> None:
    measures = of_run(Outcome(1.0, errors=Counter(timeout=16)), 0.1, Footprint())
    assert (measures.rate, measures.p50, measures.p99, measures.cpu) == (0.0, None, None, None)


def test_rounds_together_are_medians_peaks_and_sums() -> None:
    def one(rate: float, p50: float | None, footprint: Footprint, **errors: int) -> Measures:
        return Measures(rate, p50, p50, p50, footprint, int(rate), Counter(errors))

    whole = together(
        [
            one(10.0, 1.0, Footprint(100, 1, 9), reset=1),
            one(90.0, 2.0, Footprint(300, 2, 1), reset=2, timeout=5),
            one(20.0, None, Footprint(200, 3, 5)),
        ]
    )
    assert whole.rate == 20.0
    assert whole.p50 == 1.5
    assert whole.footprint == Footprint(300, 3, 9)
    assert whole.completed == 120
    assert whole.errors == Counter(reset=3, timeout=5)
