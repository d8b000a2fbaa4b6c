"""The suite's plan and its bars."""

import re
from pathlib import Path

from attrs import evolve

from trio_allocator.lab.simulation.job import check_job
from trio_allocator.lab.suite import (
    BARS,
    CHAPTERS,
    FULL,
    QUICK,
    Scored,
    constant_trace,
    cut,
    judge,
    plan,
)
from trio_allocator.network.impairments import IMPAIRMENTS


def scored(chapter="steady", condition="1.5 Mbit/s, N = 1", seed=1, impairments="", **figures):
    return Scored(chapter, condition, "x", 1, impairments, "fair", seed, figures)


def test_all_that_is_planned_can_be_run():
    for extent in (QUICK, FULL):
        cases = plan(extent, ["layered", "fair"])
        for case in cases:
            check_job(case.job)
        assert {case.chapter for case in cases} == set(CHAPTERS)
        assert {case.job.impairments for case in cases} == {"", *IMPAIRMENTS}
        assert len(
            {(case.chapter, case.condition, case.job.policy, case.job.seed) for case in cases}
        ) == len(cases)
    quick, full = (plan(extent, ["layered"]) for extent in (QUICK, FULL))
    assert len(full) > 4 * len(quick)


def test_a_part_of_it():
    cases = plan(
        QUICK, ["fair"], chapters=["changing"], seeds=[7], traces=[constant_trace(1.0, 60)]
    )
    assert {case.chapter for case in cases} == {"changing"}
    assert {case.job.seed for case in cases} == {7}
    assert "1 Mbit/s" in {case.job.trace.name for case in cases}
    assert all(case.job.trace.duration <= QUICK.longest for case in cases)


def test_a_trace_is_cut_to_its_beginning():
    trace = constant_trace(1.0, 60)
    assert cut(trace, 90) is trace
    assert cut(trace, 30).duration == 30


def test_a_bar_is_judged_by_the_worst_condition_of_means():
    bar = next(one for one in BARS if one.figure == "switches")
    runs = [
        scored(switches=0.0, seed=1),
        scored(switches=1.0, seed=2),
        scored(condition="2 Mbit/s, N = 1", switches=3.0),
        scored(condition="3 Mbit/s, N = 1", switches=None),
        scored(chapter="changing", switches=9.0),
    ]
    (verdict,) = judge(runs, [bar])
    assert (verdict.value, verdict.condition, verdict.holds) == (3.0, "2 Mbit/s, N = 1", False)
    assert verdict.typical == 1.75
    (verdict,) = judge(runs[:2], [bar])
    assert (verdict.value, verdict.holds) == (0.5, True)


def test_a_bar_may_be_a_floor_and_of_one_impairment():
    bar = next(one for one in BARS if one.impairments == "pauses")
    impaired = scored("impaired", "3 Mbit/s, pauses, N = 3", impairments="pauses", used=0.6)
    better = evolve(impaired, condition="8 Mbit/s, pauses, N = 3", figures={"used": 0.9})
    other = evolve(impaired, impairments="loss", figures={"used": 0.1})
    (verdict,) = judge([impaired, better, other], [bar])
    assert (verdict.value, verdict.holds) == (0.6, False)
    (verdict,) = judge([other], [bar])
    assert (verdict.value, verdict.holds) == (None, None)


def test_bars_are_of_chapters_and_impairments_that_there_are():
    assert all(bar.chapter in CHAPTERS for bar in BARS)
    assert {bar.impairments for bar in BARS} <= {None, *IMPAIRMENTS}
    assert all((bar.most is None) is not (bar.least is None) for bar in BARS)


def test_the_documentation_tells_of_all_chapters():
    page = (Path(__file__).parents[2] / "docs" / "score.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\w+) \|", page, re.MULTILINE)[1:] == list(CHAPTERS)
