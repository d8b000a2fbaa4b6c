"""The receiving side: what it reports of what came, and that no more is needed to know it all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation import FeedbackReader, FeedbackRecorder, TransportFeedback
from trio_allocator.estimation.recorder import LARGEST_STEP, NEAR, WINDOW

SENDER, MEDIA = 11, 22


@pytest.fixture
def recorder():
    return FeedbackRecorder(SENDER, MEDIA)


def report(recorder):
    """What is reported, by sequence number of the wire: milliseconds, or None; no number twice."""
    told = {}
    for feedback in recorder.build_feedback():
        assert TransportFeedback.parse(feedback.build()) == feedback
        for offset, arrival in enumerate(feedback.arrivals):
            sequence = (feedback.base_sequence + offset) % 65536
            assert sequence not in told
            told[sequence] = (
                None if arrival is None else feedback.reference_time * 64 + arrival / 1000
            )
    return told


def test_what_came_is_reported_once(recorder):
    recorder.received(10, 1.0)
    recorder.received(12, 1.01)
    assert recorder.build_feedback() == [
        TransportFeedback(SENDER, MEDIA, 10, 15, 0, (40_000, None, 50_000))
    ]
    assert recorder.build_feedback() == []
    recorder.received(13, 1.1)
    assert recorder.build_feedback() == [TransportFeedback(SENDER, MEDIA, 13, 17, 1, (12_000,))]


def test_before_anything_came_there_is_nothing_to_report(recorder):
    assert recorder.build_feedback() == []


def test_arrivals_are_rounded_to_quarters_of_a_millisecond(recorder):
    for sequence, now in enumerate([0.000_1, 0.000_2, 0.000_370, 0.000_380]):
        recorder.received(sequence, now)
    assert report(recorder) == {0: 0.0, 1: 0.25, 2: 0.25, 3: 0.5}


def test_what_did_not_come_between_two_reports_is_reported_as_such(recorder):
    recorder.received(10, 1.0)
    report(recorder)
    recorder.received(13, 1.0)
    assert report(recorder) == {11: None, 12: None, 13: 1000.0}


def test_only_the_first_copy_of_a_packet_counts(recorder):
    recorder.received(10, 1.0)
    recorder.received(10, 1.1)
    assert report(recorder) == {10: 1000.0}
    recorder.received(10, 1.2)
    assert report(recorder) == {}


def test_a_packet_out_of_order_is_in_its_place_with_a_negative_delta(recorder):
    recorder.received(10, 1.0)
    recorder.received(12, 1.02)
    recorder.received(11, 1.03)
    recorder.received(13, 1.02)
    assert report(recorder) == {10: 1000.0, 11: 1030.0, 12: 1020.0, 13: 1020.0}


def test_a_late_packet_is_reported_with_all_that_followed_it(recorder):
    for sequence in (10, 12, 13):
        recorder.received(sequence, 1.0)
    report(recorder)
    recorder.received(11, 1.25)
    recorder.received(15, 1.25)
    assert report(recorder) == {11: 1250.0, 12: 1000.0, 13: 1000.0, 14: None, 15: 1250.0}


def test_later_than_half_a_second_it_is_left_out(recorder):
    recorder.received(10, 1.0)
    recorder.received(12, 1.0)
    recorder.received(13, 1.5)
    report(recorder)
    recorder.received(11, 1.5)
    assert report(recorder) == {11: 1500.0, 12: 1000.0, 13: 1500.0}
    recorder.received(9, 1.5)
    recorder.received(14, 1.75)
    report(recorder)
    recorder.received(12, 1.75)
    recorder.received(11, 1.75)
    assert report(recorder) == {}


def test_packets_that_the_first_one_overtook_are_told_of(recorder):
    for sequence in (12, 10, 11):
        recorder.received(sequence, 1.0)
    assert report(recorder) == {10: 1000.0, 11: 1000.0, 12: 1000.0}


def test_even_if_the_first_one_was_reported(recorder):
    recorder.received(12, 1.0)
    assert report(recorder) == {12: 1000.0}
    recorder.received(10, 1.25)
    assert report(recorder) == {10: 1250.0, 11: None, 12: 1000.0}


def test_but_not_half_a_second_later(recorder):
    recorder.received(12, 1.0)
    recorder.received(13, 1.75)
    report(recorder)
    recorder.received(11, 1.75)
    assert report(recorder) == {}


def test_numbers_wrap_around(recorder):
    for sequence in (65534, 0, 65535, 2):
        recorder.received(sequence, 1.0)
    assert report(recorder) == {65534: 1000.0, 65535: 1000.0, 0: 1000.0, 1: None, 2: 1000.0}


def test_the_count_wraps_around(recorder):
    counts = []
    for sequence in range(258):
        recorder.received(sequence, 1.0)
        counts += [feedback.feedback_count for feedback in recorder.build_feedback()]
    assert counts == [*range(256), 0, 1]


@pytest.mark.parametrize(("now", "reference"), [(-0.001, 2**24 - 1), (2**24 * 0.064 + 1, 15)])
def test_the_reference_time_wraps_around(recorder, now, reference):
    recorder.received(0, now)
    (feedback,) = recorder.build_feedback()
    assert feedback.reference_time == reference
    assert 0 <= feedback.arrivals[0] < 64_000


# --- splitting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "feedbacks"), [(9.191_75, 1), (9.192_25, 2), (-7.191_75, 1), (-7.192_25, 2), (1e9, 2)]
)
def test_arrivals_too_far_apart_are_told_in_two_feedbacks(recorder, later, feedbacks):
    recorder.received(10, 1.0)
    recorder.received(12, later)
    built = recorder.build_feedback()
    assert [feedback.base_sequence for feedback in built] == [10, 12][:feedbacks]
    assert built[0].arrivals[:2] == (40_000, None)
    for feedback in built:
        feedback.build()


@pytest.mark.parametrize("max_size", [64, 65, 100, 1200, 65_535])
@pytest.mark.parametrize("step", [0.0, 0.1, -0.1])
def test_no_feedback_is_larger_than_allowed(max_size, step):
    recorder = FeedbackRecorder(SENDER, MEDIA, max_size=max_size)
    for sequence in range(3000):
        if sequence % 5:
            recorder.received(sequence, sequence * step)
    feedbacks = recorder.build_feedback()
    sizes = [len(feedback.build()) for feedback in feedbacks]
    assert max(sizes) <= max_size
    if step:  # nearly all of what is allowed is used
        assert max(sizes) >= min(0.6 * max_size, 5000)
    bases = [feedback.base_sequence for feedback in feedbacks]
    ends = [base + len(feedback.arrivals) for base, feedback in zip(bases, feedbacks, strict=True)]
    assert [1, *ends] == [*bases, 3000]
    assert [feedback.feedback_count for feedback in feedbacks] == [
        count % 256 for count in range(len(feedbacks))
    ]


def test_a_large_gap_is_told_in_several_feedbacks(recorder):
    recorder.received(0, 1.0)
    recorder.received(3000, 2.0)
    feedbacks = recorder.build_feedback()
    assert len(feedbacks) == 6
    assert {feedback.reference_time for feedback in feedbacks} == {15, 31}
    told = [arrival for feedback in feedbacks for arrival in feedback.arrivals]
    assert [index for index, arrival in enumerate(told) if arrival is not None] == [0, 3000]


# --- jumps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [LARGEST_STEP + 1, 30_000, -30_000, -LARGEST_STEP - 3])
def test_a_number_far_off_is_believed_when_the_next_one_follows(recorder, step):
    strange = (1000 + step) % 65536
    recorder.received(1000, 1.0)
    recorder.received(strange, 1.001)
    assert report(recorder) == {1000: 1000.0}
    recorder.received((strange + 1) % 65536, 1.002)
    recorder.received((strange + 2) % 65536, 1.003)
    assert report(recorder) == {
        strange: 1001.0,
        (strange + 1) % 65536: 1002.0,
        (strange + 2) % 65536: 1003.0,
    }
    recorder.received((strange - 1) % 65536, 1.003)  # of what lies before nothing is known
    assert report(recorder) == {}


@pytest.mark.parametrize("swap", [1, 7, NEAR])
def test_it_is_believed_when_it_overtook_another(recorder, swap):
    recorder.received(1000, 1.0)
    report(recorder)
    recorder.received(30_000 + swap, 1.001)
    recorder.received(30_000, 1.002)
    told = report(recorder)
    assert told.pop(30_000) == 1002.0
    assert told.pop(30_000 + swap) == 1001.0
    assert set(told.values()) <= {None}


@pytest.mark.parametrize(
    "between", [[1001], [30_000], [30_101 + NEAR, 2000], [29_999 - NEAR, 2000]]
)
def test_a_number_far_off_that_none_follows_has_no_consequence(recorder, between):
    recorder.received(1000, 1.0)
    recorder.received(30_000, 1.0)
    for sequence in between:
        recorder.received(sequence, 1.0)
    recorder.received(1002, 1.0)
    told = report(recorder)
    assert told.pop(1001) == (1000.0 if between == [1001] else None)
    assert {number for number, arrival in told.items() if arrival} <= {1000, 1002, 2000}


@pytest.mark.parametrize("step", [LARGEST_STEP, 1])
def test_a_number_not_so_far_off_is_believed_at_once(recorder, step):
    recorder.received(1000, 1.0)
    recorder.received(1000 + step, 1.0)
    assert set(report(recorder)) == set(range(1000, 1001 + step))


def test_as_far_back_a_packet_may_be_late(recorder):
    recorder.received(0, 1.0)
    for _ in range(2):
        recorder.received(2, 1.0)
    recorder.received(2 + LARGEST_STEP - 1, 1.0)
    recorder.received(1, 1.0)
    assert report(recorder)[1] == 1000.0


def test_a_clock_that_goes_back_keeps_all_numbers_in_their_order(recorder):
    for sequence in range(20):
        recorder.received(sequence, 1e6 if sequence < 10 else 5.0)
    assert list(report(recorder)) == list(range(20))
    recorder.received(21, 5.1)
    assert report(recorder) == {20: None, 21: 5100.0}


# --- bounds ------------------------------------------------------------------------------------


def test_who_never_reports_keeps_a_bounded_number_of_packets(recorder):
    for sequence in range(3 * WINDOW):
        recorder.received(sequence % 65536, 0.0)
        assert sequence % 1000 or len(recorder._arrivals) <= 2 * WINDOW
    newest = 3 * WINDOW - 1
    told = report(recorder)
    assert newest % 65536 in told
    assert WINDOW <= len(told) <= 2 * WINDOW


def test_who_reports_keeps_what_may_still_be_overtaken(recorder):
    for sequence in range(5000):
        recorder.received(sequence, sequence / 1000)
        if sequence % 50 == 49:
            report(recorder)
            assert len(recorder._arrivals) <= 501


def test_with_a_clock_that_stands_still_as_well(recorder):
    for sequence in range(WINDOW + 5000):
        recorder.received(sequence, 0.0)
        if sequence % 5000 == 4999:
            report(recorder)
    assert len(recorder._arrivals) <= WINDOW + 5000
    report(recorder)
    assert len(recorder._arrivals) == WINDOW


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("sequence", [-1, 65536, True, 1.0])
def test_a_number_that_the_wire_can_not_have_is_refused(recorder, sequence):
    with pytest.raises((ValueError, TypeError), match="sequence must be"):
        recorder.received(sequence, 1.0)
    assert recorder.build_feedback() == []


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_none_is_refused(recorder, now):
    with pytest.raises(ValueError, match="now must be finite"):
        recorder.received(1, now)
    assert recorder.build_feedback() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sender_ssrc": -1}, "sender_ssrc must be from 0"),
        ({"media_ssrc": 2**32}, "media_ssrc must be from 0"),
        ({"max_size": 63}, "max_size must be from 64 to 65535, got 63"),
        ({"max_size": 65536}, "max_size must be"),
    ],
)
def test_settings_out_of_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FeedbackRecorder(**{"sender_ssrc": 1, "media_ssrc": 2, **arguments})


# --- recorder and reader -----------------------------------------------------------------------


@given(
    first=st.integers(0, 65535),
    fates=st.lists(
        st.tuples(
            st.sampled_from(["come", "come", "come", "lost", "twice"]),
            st.integers(0, 30),  # ms on the way
        ),
        min_size=1,
        max_size=300,
    ),
    interval=st.integers(1, 50),
)
def test_of_what_was_sent_the_reader_learns_all(first, fates, interval):
    recorder, reader = FeedbackRecorder(1, 2, max_size=64), FeedbackReader()
    events = []
    for index, (fate, delay) in enumerate(fates):
        if fate != "lost":
            events.append((index + delay, first + index))
        if fate == "twice":
            events.append((index + delay + 5, first + index))
    told = {}
    last_sent = first + len(fates) - 1
    for turn, (now, sequence) in enumerate(sorted(events)):
        recorder.received(sequence % 65536, now / 1000)
        if turn % interval == 0 or turn == len(events) - 1:
            for feedback in recorder.build_feedback():
                packet = TransportFeedback.parse(feedback.build())
                results = reader.read(packet, now=now / 1000, last_sent=last_sent)
                told.update(results)
    if not events:
        return
    # What comes before the first packet received is unknown, or was late for a first report.
    begin = min(told)
    came = {}
    for now, sequence in sorted(events):
        if sequence >= begin:
            came.setdefault(sequence, now)
    received = {sequence: arrival for sequence, arrival in told.items() if arrival is not None}
    assert received.keys() == came.keys()
    assert told.keys() == set(range(begin, max(came) + 1))
    offsets = [received[sequence] - came[sequence] / 1000 for sequence in came]
    assert max(offsets) - min(offsets) <= 0.000_25 + 1e-9
