"""Whatever a peer reports reaches the estimator, and garbage reaches nothing."""

import pytest

from tests.estimation.feedbacks import SDES, arrived, reported
from trio_allocator.estimation import (
    FeedbackError,
    FeedbackHandler,
    Limit,
    ReceiverReport,
    Remb,
    SendSideEstimator,
)


@pytest.fixture
def estimator():
    return SendSideEstimator()


@pytest.fixture
def handler(estimator):
    return FeedbackHandler(estimator)


def test_arrivals_are_those_of_the_packets_sent(handler, estimator):
    numbers = range(65_500, 65_561)
    for part in (numbers[:5], numbers[5:]):
        for number in part:
            estimator.packet_sent(number, 1000, number / 100)
        received = [(number % 65_536, number / 100) for number in part if number % 5]
        assert handler.handle(arrived(*received), part[-1] / 100 + 0.009, part[-1])
    assert estimator.explain().rtt == pytest.approx(0.01, abs=0.01)
    assert estimator.explain().loss == pytest.approx(0.2, abs=0.03)


def test_a_peer_that_begins_anew_makes_no_queue(handler, estimator):
    for first in range(0, 100, 10):
        for number in range(first, first + 10):
            estimator.packet_sent(number, 1000, number / 100)
        # Half-way its clock is set, and from then on its feedback takes a fifth of a second longer.
        clock, later = (0.0, 0.01) if first < 50 else (1000.0, 0.21)
        received = [(number, clock + number / 100) for number in range(first, first + 10)]
        handler.handle(arrived(*received), first / 100 + 0.09 + later, first + 9)
        assert estimator.explain().queue_delay == pytest.approx(0, abs=0.001)


def test_before_anything_was_sent_nothing_can_have_arrived(handler, estimator):
    assert handler.handle(arrived((5, 0.1)), 1.0, None)
    assert estimator.explain().limit is Limit.START


def test_what_a_peer_wants_at_most_is_the_limit(handler, estimator):
    assert handler.handle(Remb(1, 200_000).build(), 1.0, None)
    assert estimator.estimate == 200_000


def test_reports_tell_of_loss_from_the_second_one_on(handler, estimator):
    assert handler.handle(reported(1000, 100), 1.0, 10)
    assert (estimator.estimate, estimator.explain().loss) == (300_000, 0)
    assert handler.handle(reported(1100, 150), 2.0, 10)
    assert estimator.explain().loss == 0.5
    assert estimator.estimate < 300_000


def test_who_only_reports_does_so_now_and_then_and_that_is_no_silence(handler, estimator):
    for number in range(1_000):
        estimator.packet_sent(number, 1000, number / 100)
        if number in (90, 590):
            assert handler.handle(reported(number, 0), number / 100, number)
    assert estimator.estimate >= 300_000
    assert estimator.explain().limit is not Limit.SILENCE


def test_a_report_on_no_stream_says_nothing(handler, estimator):
    assert handler.handle(ReceiverReport(1).build(), 1.0, 10)
    assert estimator.explain().limit is Limit.START


def test_a_compound_is_read_to_its_end(handler, estimator):
    data = reported(1000, 0) + SDES + Remb(1, 200_000).build()
    assert handler.handle(data, 1.0, None)
    assert estimator.estimate == 200_000


def test_what_says_nothing_of_the_network_is_no_feedback(handler, estimator):
    assert not handler.handle(SDES, 1.0, None)
    assert estimator.explain().limit is Limit.START


@pytest.mark.parametrize("garbage", [b"\x00", b"\x80\x00", Remb(1, 200_000).build()[:-4]])
def test_garbage_raises_and_changes_nothing(handler, estimator, garbage):
    with pytest.raises(FeedbackError):
        handler.handle(garbage, 1.0, None)
    assert (estimator.estimate, estimator.explain().limit) == (300_000, Limit.START)


@pytest.mark.parametrize("garbage", [b"\x00", b"\x80\x00", Remb(1, 100_000).build()[:-4]])
def test_what_is_sound_counts_even_before_garbage(handler, estimator, garbage):
    assert handler.handle(Remb(1, 200_000).build() + garbage, 1.0, None)
    assert estimator.estimate == 200_000
