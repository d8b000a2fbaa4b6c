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


def test_what_is_withheld_and_taken_back_is_judged_as_in_every_measurement():
    # Nothing for 2 s though the lowest fits; then the lowest; a better one for half a second.
    history = History(
        (None,),
        (Change(2.0, 0, None, 0), Change(5.0, 0, 0, 1), Change(5.5, 0, 1, 0)),
    )
    figures = measure(steady(230), history)
    assert figures.taken_back == 1
    assert figures.withheld == pytest.approx(0.2, abs=0.02)
    assert figures.withheld_p95 == pytest.approx(2.0, abs=0.1)
    assert figures.to_best_p50 == pytest.approx(5.0)
    # A step that fits, but not with a fifth to spare, is not withheld.
    assert measure(steady(210), History((0,), ())).withheld == 0


def test_how_long_it_takes_to_the_best_counts_from_each_rise():
    rates = ((100, 200),)
    rows = [(float(t), 110 if t < 10 else 250, rates) for t in range(21)]
    figures = measure(recording(*rows), History((0,), (Change(13.0, 0, 0, 1),)))
    assert (figures.to_best_p50, figures.to_best_p95) == (1.5, pytest.approx(2.85))
    # Who never gets there is given all the time there was.
    never = measure(recording(*rows), History((0,), ()))
    assert never.to_best_p95 == pytest.approx(9.5)
