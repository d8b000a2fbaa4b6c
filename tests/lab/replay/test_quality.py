"""The figures, each on a run that can be checked by hand."""

import pytest

from trio_allocator.lab.replay.quality import Change, History, measure
from trio_allocator.lab.replay.recording import Recording, RecordingError, Row, Source
from trio_allocator.lab.replay.utility import UtilityRule, layer_utilities, resolve_rule

CAM = Source(name="cam", layers=("7", "30"), mean_rates=(100, 200))
DOG = Source(name="dog", layers=("7", "30"), mean_rates=(100, 200))
MIC = Source(name="mic", layers=("full",), mean_rates=(50,))


def recording(*rows, sources=(CAM,)):
    return Recording(
        name="test",
        sources=sources,
        rows=tuple(
            Row(time=time, estimate=estimate, rates=rates) for time, estimate, rates in rows
        ),
    )


def steady(estimate, *, seconds=10.0):
    rates = ((100, 200),)
    return recording((0.0, estimate, rates), (seconds, estimate, rates))


def test_the_best_choice_throughout_is_quality_one():
    figures = measure(steady(250), History((1,), ()))
    assert figures.quality == 1.0
    assert figures.utilisation == 1.0, "what exceeds the heaviest layer is not usable"
    assert figures.share_over_estimate == 0.0
    assert (figures.changes, figures.decisions, figures.reversals) == (0, 0, 0)
    assert figures.duration == 10.0


def test_the_rule_of_frame_rates_is_that_of_the_field():
    assert layer_utilities(UtilityRule.FRAMES, CAM) == (1.0, 1.5)
    figures = measure(steady(250), History((0,), ()))
    assert figures.quality == pytest.approx(1 / 1.5)
    assert figures.utilisation == pytest.approx(100 / 200)


def test_the_rule_of_rates_is_the_logarithm():
    source = Source(
        name="cam", layers=("low", "medium", "high"), mean_rates=(150_000, 500_000, 2_500_000)
    )
    assert layer_utilities(UtilityRule.LOG, source) == pytest.approx((0.353, 0.610, 1), abs=5e-4)


def test_auto_goes_by_the_names_of_those_who_choose():
    named = Source(name="x", layers=("low", "high"), mean_rates=(1, 2))
    assert resolve_rule(UtilityRule.AUTO, [CAM, MIC]) is UtilityRule.FRAMES
    assert resolve_rule(UtilityRule.AUTO, [CAM, named]) is UtilityRule.LOG
    assert resolve_rule(UtilityRule.AUTO, [MIC]) is UtilityRule.LOG
    assert resolve_rule(UtilityRule.LOG, [CAM]) is UtilityRule.LOG
    with pytest.raises(RecordingError, match="'low'"):
        resolve_rule(UtilityRule.FRAMES, [named])


def test_time_is_what_weighs():
    history = History((None,), (Change(2.0, 0, None, 0), Change(6.0, 0, 0, 1)))
    figures = measure(steady(250), history)
    assert figures.quality == pytest.approx((0 * 2 + 1 * 4 + 1.5 * 4) / (1.5 * 10))
    (part,) = figures.sources
    assert part.shares == pytest.approx((0.4, 0.4))
    assert part.mean_rate == pytest.approx((100 * 4 + 200 * 4) / 10)
    assert part.utility == pytest.approx(1.0)


def test_estimates_and_rates_hold_until_the_next_row():
    run = recording(
        (0.0, 250, ((100, 200),)),
        (4.0, 150, ((100, 200),)),
        # Of equal times the last counts.
        (8.0, 1, ((1, 2),)),
        (8.0, 150, ((100, 160),)),
        (10.0, 0, ((9, 9),)),
    )
    figures = measure(run, History((1,), ()))
    assert figures.share_over_estimate == pytest.approx(0.6)
    assert figures.utilisation == 1.0, "over-commitment is no merit"
    assert figures.quality == pytest.approx(1.5 * 10 / (1.5 * 4 + 1 * 6))


def test_fixed_tracks_count_in_the_sum_and_leave_less_to_choose_from():
    rates = ((100, 200), (50,))
    run = recording((0.0, 225, rates), (1.0, 225, rates), sources=(CAM, MIC))
    figures = measure(run, History((0, 0), ()))
    assert figures.quality == 1.0, "30 fps would not fit beside the fixed track"
    assert measure(run, History((1, 0), ())).share_over_estimate == 1.0


def test_a_layer_that_is_not_sent_shows_nothing():
    run = recording((0.0, 250, ((100, 0),)), (1.0, 250, ((100, 0),)))
    assert measure(run, History((1,), ())).quality == 0.0
    assert measure(run, History((0,), ())).quality == 1.0


def test_where_nothing_could_be_had_nothing_was_missed():
    figures = measure(steady(0), History((None,), ()))
    assert (figures.quality, figures.utilisation) == (1.0, 1.0)


def test_changes_are_counted_by_source_and_decisions_by_moment():
    rates = ((100, 200), (100, 200))
    run = recording((0.0, 400, rates), (30.0, 400, rates), sources=(CAM, DOG))
    changes = (
        Change(1.0, 0, 1, 0),
        Change(1.0, 1, 1, 0),
        Change(11.0, 0, 0, 1),  # 10 s later: still a reversal
        Change(11.5, 1, 0, 1),  # 10.5 s later: none
        Change(12.0, 1, 1, None),  # down after up
        Change(13.0, 1, None, 0),  # up after down
        Change(14.0, 1, 0, 1),  # up after up
    )
    figures = measure(run, History((1, 1), changes))
    assert (figures.changes, figures.decisions, figures.reversals) == (7, 6, 3)
    assert [part.changes for part in figures.sources] == [2, 5]
    assert [part.reversals for part in figures.sources] == [1, 2]


def test_in_real_time_nothing_is_quite_simultaneous():
    rates = ((100, 200), (100, 200))
    run = recording((0.0, 400, rates), (30.0, 400, rates), sources=(CAM, DOG))
    changes = tuple(
        Change(time, source, before, 1 - before)
        for time, source, before in ((1.0, 0, 1), (1.009, 1, 1), (1.011, 0, 0), (1.02, 1, 0))
    )
    assert measure(run, History((1, 1), changes)).decisions == 2


# --- how soon what fits is chosen -------------------------------------------------------------------


def test_what_is_undone_within_a_second_was_taken_back():
    changes = (Change(2.0, 0, 0, 1), Change(2.5, 0, 1, 0), Change(5.0, 0, 0, 1))
    assert measure(steady(250), History((0,), changes)).taken_back == 1
    later = (Change(2.0, 0, 0, 1), Change(3.5, 0, 1, 0))
    assert measure(steady(250), History((0,), later)).taken_back == 0


def test_a_layer_that_fits_with_a_fifth_to_spare_is_withheld():
    run = measure(steady(250), History((0,), (Change(4.0, 0, 0, 1),)))
    assert run.withheld == pytest.approx(0.4)
    assert run.spreads["withheld_p50"] == pytest.approx(4.0)
    # 200 and a fifth are 240: at 230 there is not that much to spare.
    tight = measure(steady(230), History((0,), ()))
    assert (tight.withheld, tight.spreads["withheld_p95"]) == (0, None)
    rates = ((100, 200),)
    twice = recording((0.0, 250, rates), (2.0, 100, rates), (4.0, 250, rates), (5.0, 250, rates))
    assert measure(twice, History((0,), ())).spreads["withheld_p95"] == pytest.approx(1.95)


def test_nothing_is_withheld_that_is_not_sent():
    rates = ((100, 0),)
    silent = recording((0.0, 900, rates), (10.0, 900, rates))
    assert measure(silent, History((0,), ())).withheld == 0
    fixed = recording((0.0, 900, ((50,),)), (10.0, 900, ((50,),)), sources=(MIC,))
    assert measure(fixed, History((0,), ())).withheld == 0
    assert measure(steady(250), History((None,), ())).withheld == 1


def test_the_wait_for_the_best_begins_at_the_start_and_at_a_rise():
    rates = ((100, 200),)
    rows = [(float(t), 110 if t < 10 else 250, rates) for t in range(31)]
    rising = recording(*rows)
    run = measure(rising, History((None,), (Change(1.0, 0, None, 0), Change(13.0, 0, 0, 1))))
    # One second from the start, three from the rise.
    assert run.spreads["wait_p50"] == pytest.approx(2.0)
    assert run.spreads["wait_p95"] == pytest.approx(2.9)
