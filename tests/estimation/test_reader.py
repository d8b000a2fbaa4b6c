"""Feedbacks one after the other: what is told of which packet, how often, and what never is."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, strategies as st

from tests.estimation.feedbacks import covering, feedbacks
from trio_allocator.estimation import FeedbackReader, PacketResult
from trio_allocator.estimation.reader import WINDOW

LOST = None
MANY = 10_000


@pytest.fixture
def reader():
    return FeedbackReader()


def statuses(text):
    """A feedback's arrivals: a dot for a packet that has not come, any other letter for one that has."""
    return [None if letter == "." else 1000 * index for index, letter in enumerate(text, 1)]


def heard(reader, count, base, text, *, last_sent=MANY, now=1.0):
    """What a feedback tells, in short: numbers received, and numbers lost."""
    feedback = covering(statuses(text), base_sequence=base % 2**16, feedback_count=count % 256)
    results = reader.read(feedback, now=now, last_sent=last_sent)
    numbers = [result.sequence for result in results]
    assert numbers == sorted(set(numbers))
    received = [result.sequence for result in results if result.arrival is not None]
    return received, [result.sequence for result in results if result.arrival is None]


# --- what a feedback covers --------------------------------------------------------------------


def test_a_packet_that_a_feedback_covers_is_received_or_lost(reader):
    feedback = covering([500, None, 1500], base_sequence=100)
    assert reader.read(feedback, now=50.0, last_sent=200) == [
        PacketResult(100, 49.999),
        PacketResult(101, None),
        PacketResult(102, 50.0),
    ]


def test_what_was_told_is_not_told_again(reader):
    assert heard(reader, 0, 100, "x.x") == ([100, 102], [101])
    assert heard(reader, 0, 100, "x.x") == ([], [])
    assert heard(reader, 1, 102, "xx.") == ([103], [104])


def test_who_was_lost_and_comes_later_is_told_as_received_once(reader):
    heard(reader, 0, 100, "x..x")
    assert heard(reader, 1, 101, "x.xx") == ([101, 104], [])
    assert heard(reader, 2, 101, "xxxx") == ([102], [])
    assert heard(reader, 3, 101, "....") == ([], [])


def test_who_was_received_is_never_lost(reader):
    heard(reader, 0, 100, "xxx")
    assert heard(reader, 1, 100, "....") == ([], [103])


# --- what feedbacks leave out ------------------------------------------------------------------


def test_what_two_consecutive_feedbacks_skip_is_lost(reader):
    heard(reader, 7, 100, "xx")
    assert heard(reader, 8, 104, "xx") == ([104, 105], [102, 103])


def test_before_the_first_feedback_nothing_is_known(reader):
    assert heard(reader, 1, 100, "x") == ([100], [])


def test_the_count_wraps_around(reader):
    heard(reader, 255, 100, "x")
    assert heard(reader, 0, 103, "x") == ([103], [101, 102])


def test_a_feedback_that_was_lost_is_no_loss_of_packets(reader):
    heard(reader, 7, 100, "xx")
    assert heard(reader, 9, 104, "xx") == ([104, 105], [])


@pytest.mark.parametrize("lost", range(1, 191, 27))
def test_nor_are_many_that_were_lost_in_a_row(reader, lost):
    heard(reader, 7, 100, "xx")
    assert heard(reader, 8 + lost, 104, "xx") == ([104, 105], [])
    assert heard(reader, 9 + lost, 107, "x") == ([107], [106])


def test_when_the_missing_feedback_comes_after_all_it_tells_what_it_knows(reader):
    heard(reader, 7, 100, "xx")
    heard(reader, 9, 110, "xx")
    # Both neighbours are known now, so what it leaves out before and after is lost.
    assert heard(reader, 8, 104, "x.x") == ([104, 106], [102, 103, 105, 107, 108, 109])


def test_late_feedbacks_fill_the_gap_from_both_sides(reader):
    heard(reader, 6, 100, "x")
    heard(reader, 9, 110, "x")
    assert heard(reader, 8, 106, "x") == ([106], [107, 108, 109])
    assert heard(reader, 7, 103, "x") == ([103], [101, 102, 104, 105])


def test_what_a_late_feedback_says_of_the_lost_counts(reader):
    heard(reader, 7, 100, "x")
    heard(reader, 8, 105, "x")
    assert heard(reader, 6, 101, "x.") == ([101], [])


def test_a_feedback_that_reaches_back_leaves_nothing_out(reader):
    heard(reader, 0, 100, "xx.x")
    assert heard(reader, 1, 102, "x") == ([102], [])
    assert heard(reader, 2, 105, "x") == ([105], [104])


def test_a_count_far_back_is_taken_for_one_ahead_and_the_course_is_found_again(reader):
    heard(reader, 100, 100, "x")
    heard(reader, 101, 101, "x")
    assert heard(reader, 20, 101, "x") == ([], [])
    assert heard(reader, 102, 103, "x") == ([103], [])
    assert heard(reader, 103, 105, "x") == ([105], [104])


def test_a_count_out_of_order_as_far_as_is_remembered_still_has_its_neighbours(reader):
    heard(reader, 100, 100, "x")
    for count in range(102, 102 + 63):
        heard(reader, count, 1000 + count, "x")
    assert heard(reader, 101, 103, "x")[1] == [101, 102, *range(104, 1102)]


def test_counts_that_are_no_longer_remembered_have_no_neighbours(reader):
    heard(reader, 100, 100, "x")
    for count in range(102, 102 + 64):
        heard(reader, count, 1000 + count, "x")
    assert heard(reader, 101, 103, "x") == ([103], [*range(104, 1102)])


# --- numbers -----------------------------------------------------------------------------------


def test_numbers_are_those_of_the_packets_sent_though_the_wire_wraps_around(reader):
    assert heard(reader, 0, 65534, "x.x.", last_sent=65_600) == ([65534, 65536], [65535, 65537])
    assert heard(reader, 1, 65538, "x", last_sent=65_600) == ([65538], [])
    late = 10 * 65536
    assert heard(reader, 2, 5, "x", last_sent=late + 7)[0] == [late + 5]


def test_what_was_never_sent_is_not_told(reader):
    assert heard(reader, 0, 100, "xx.x", last_sent=101) == ([100, 101], [])
    assert heard(reader, 1, 102, "x", last_sent=101) == ([], [])
    assert reader.ignored == 1
    assert heard(reader, 2, 102, "x", last_sent=102) == ([102], [])


def test_however_much_was_sent_two_rounds_of_all_numbers_may_be_told(reader):
    heard(reader, 0, 0, "x", last_sent=0)
    for count in range(1, 5):
        heard(reader, count, 70_001, "." * 30_000, last_sent=100_000)
        assert reader.ignored == 0
    heard(reader, 5, 70_001, "." * 30_000, last_sent=100_000)
    assert reader.ignored == 1


def test_no_lie_about_what_was_not_sent_has_a_consequence(reader):
    heard(reader, 0, 100, "xx", last_sent=101)
    for count in range(1, 60):
        heard(reader, count, 100 + 500 * count, "x" * 5000, last_sent=101)
    assert reader.ignored == 59
    assert heard(reader, 1, 102, "x.x", last_sent=104) == ([102, 104], [103])


def test_a_feedback_on_packets_of_long_ago_is_ignored(reader):
    heard(reader, 0, 100, "x", last_sent=100)
    oldest = MANY + 100_000 - WINDOW + 1
    assert heard(reader, 1, oldest - 1, "xx", last_sent=MANY + 100_000) == ([], [])
    assert reader.ignored == 1
    assert heard(reader, 1, oldest, "xx", last_sent=MANY + 100_000)[0] == [oldest, oldest + 1]


def test_after_a_long_outage_only_what_is_in_the_window_is_told_as_lost(reader):
    heard(reader, 0, 100, "x")
    received, lost = heard(reader, 1, 1_000_000, "x", last_sent=1_000_010)
    assert received == [1_000_000]
    assert lost == [*range(1_000_010 - WINDOW + 1, 1_000_000)]


def test_the_window_slides_with_what_is_sent(reader):
    heard(reader, 0, 100, "x.x", last_sent=103)
    oldest = 101
    last_sent = oldest + WINDOW - 1
    assert heard(reader, 1, 101, "xxx", last_sent=last_sent) == ([101, 103], [])
    assert heard(reader, 2, last_sent, "x", last_sent=last_sent)[0] == [last_sent]
    assert heard(reader, 3, last_sent, "xx", last_sent=last_sent + 1) == ([last_sent + 1], [])


def test_what_was_sent_does_not_become_less(reader):
    heard(reader, 0, 100, "x", last_sent=103)
    with pytest.raises(ValueError, match=r"not be less than before \(103\), got 102"):
        heard(reader, 1, 101, "x", last_sent=102)
    assert heard(reader, 1, 101, "x", last_sent=103) == ([101], [])


def test_a_first_packet_numbered_zero_is_a_packet(reader):
    assert heard(reader, 0, 0, "x.", last_sent=1) == ([0], [1])
    assert heard(reader, 1, 0, "xx", last_sent=1) == ([1], [])


# --- times -------------------------------------------------------------------------------------


def test_arrivals_are_told_in_seconds_of_a_clock_that_runs_like_the_peers(reader):
    first = covering([0, 250], base_sequence=0, reference_time=1000, feedback_count=0)
    second = covering([8_191_750], base_sequence=2, reference_time=1001, feedback_count=1)
    results = reader.read(first, now=5.0, last_sent=9)
    results += reader.read(second, now=13.5, last_sent=9)
    assert [result.arrival for result in results] == pytest.approx(
        [4.999_75, 5.0, 4.999_75 + 0.064 + 8.191_75]
    )
    assert reader.clock_jumps == 0


def test_a_feedback_that_spans_a_minute_is_ignored_and_has_no_consequence(reader):
    honest = covering([0], base_sequence=0, feedback_count=0)
    lie = covering([8_000_000 * n for n in range(9)], base_sequence=1, feedback_count=1)
    reader.read(honest, now=0.0, last_sent=99)
    assert reader.read(lie, now=0.0, last_sent=99) == []
    assert reader.ignored == 1
    assert heard(reader, 1, 3, "x") == ([3], [1, 2])


def test_a_feedback_without_arrivals_needs_no_clock(reader):
    assert reader.read(covering([None]), now=0.0, last_sent=100) == [PacketResult(100, None)]


def test_a_clock_that_is_set_anew_is_counted(reader):
    heard(reader, 0, 0, "x", now=1.0)
    anew = covering([0], base_sequence=1, reference_time=10_000, feedback_count=1)
    assert reader.read(anew, now=2.0, last_sent=MANY) == [PacketResult(1, 2.0)]
    assert reader.clock_jumps == 1


@pytest.mark.parametrize("now", [math.nan, math.inf])
def test_a_time_that_is_none_is_refused_and_changes_nothing(reader, now):
    with pytest.raises(ValueError, match="now must be finite"):
        heard(reader, 0, 100, "x", now=now)
    assert heard(reader, 0, 100, "x") == ([100], [])


# --- whatever comes ----------------------------------------------------------------------------

lies = st.tuples(feedbacks, st.floats(0, 1e6), st.integers(-5, 3000))


@given(lies=st.lists(lies, max_size=30))
def test_whatever_comes_each_packet_is_lost_at_most_once_and_received_at_most_once(lies):
    reader = FeedbackReader()
    last_sent = 0
    lost, received = Counter(), Counter()
    for feedback, now, sent in lies:
        last_sent += max(sent, 0)
        for sequence, arrival in reader.read(feedback, now=now, last_sent=last_sent):
            assert last_sent - WINDOW < sequence <= last_sent
            if arrival is None:
                assert not received[sequence]
                lost[sequence] += 1
            else:
                assert now - 70 - 1e-6 <= arrival <= now + 10 + 1e-6
                received[sequence] += 1
    assert not lost or max(lost.values()) == 1
    assert not received or max(received.values()) == 1
    assert len(reader._told) == WINDOW
    assert len(reader._covered._runs) <= 256


@given(
    order=st.permutations(range(12)),
    missing=st.sets(st.integers(0, 47)),
    dropped=st.sets(st.integers(0, 11), max_size=6),
    twice=st.sets(st.integers(0, 11), max_size=3),
)
def test_in_whatever_order_feedbacks_come_what_is_told_of_those_that_come_is_the_truth(
    order, missing, dropped, twice
):
    reader = FeedbackReader()
    told = {}
    for count in [*order, *twice]:
        if count not in dropped:
            arrivals = [None if 4 * count + n in missing else 250 * n for n in range(4)]
            feedback = covering(arrivals, base_sequence=4 * count, feedback_count=count)
            told.update(reader.read(feedback, now=1.0, last_sent=47))
    covered = {4 * count + n for count in range(12) if count not in dropped for n in range(4)}
    assert told.keys() == covered
    assert {sequence for sequence in told if told[sequence] is None} == covered & missing
