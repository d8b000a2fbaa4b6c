"""What is tried, and what about it is worth measuring."""

import pytest

from trio_allocator.lab.linktest.scenarios import SCENARIOS, Drop, Rise, Scenario

NAMED = {scenario.name: scenario for scenario in SCENARIOS}


def test_the_steps_of_rfc_8867():
    steps = NAMED["steps"]
    assert steps.drops() == [Drop(60, 80, 0.6e6)]
    assert steps.rises() == [Rise(40, 60, 2.5e6), Rise(80, 100, 1e6)]


def test_a_slope_has_neither_drops_nor_rises():
    ramp = NAMED["ramp"]
    assert (ramp.drops(), ramp.rises()) == ([], [])
    rates = [rate for _time, rate in ramp.steps]
    assert (min(rates), max(rates), rates.index(max(rates))) == (0.5e6, 2e6, len(rates) // 2)
    assert ramp.steps[-1][0] == ramp.duration


def test_whoever_resumes_has_its_share_to_gain():
    pause = NAMED["pause"]
    assert pause.rises() == [Rise(60, 100, 1e6, flow=1)]
    assert pause.switches(1) == [(0, True), (40, False), (60, True)]
    assert pause.switches(0) == [(0, True)]
    assert not pause.is_active(1, 50)
    assert pause.is_active(0, 50)


def test_whoever_joins_late_is_silent_before():
    shared = NAMED["shared"]
    assert [shared.is_active(1, time) for time in (14.9, 15)] == [False, True]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMED)
def test_scaled_in_time_and_in_nothing_else(scenario):
    short = scenario.scaled(0.1)
    assert short.duration == pytest.approx(scenario.duration / 10)
    assert [rate for _time, rate in short.steps] == [rate for _time, rate in scenario.steps]
    assert short.loss == scenario.loss
    assert [rise.time for rise in short.rises()] == pytest.approx(
        [rise.time / 10 for rise in scenario.rises()]
    )
    carried = short.schedule.bits_between(0, short.duration)
    assert 10 * carried == pytest.approx(scenario.schedule.bits_between(0, scenario.duration))


def test_settled_is_when_nobody_has_come_or_gone_of_late():
    pause = NAMED["pause"]
    assert [
        pause.has_settled(*span, 10) for span in ((5, 10), (10, 15), (35, 40), (36, 41), (69, 74))
    ] == [False, True, True, False, False]
    assert pause.has_settled(70, 75, 10)
    assert not NAMED["shared"].has_settled(5, 10, 0)


def test_one_capacity_for_all_of_the_time():
    flat = Scenario("flat", "", ((0, 1e6),), 10)
    assert (flat.drops(), flat.rises()) == ([], [])
