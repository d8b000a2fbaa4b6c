"""Feedback that does not come, though packets are sent."""

from __future__ import annotations

import math

import pytest

from trio_allocator.estimation.silence import REPORT_PERIOD, Silence


@pytest.fixture
def silence():
    """Of a peer that sends transport-wide feedback."""
    silence = Silence()
    silence.heard()
    return silence


def send(silence, since, until, interval=0.1):
    for index in range(round((until - since) / interval) + 1):
        silence.sent(since + index * interval)


def test_nothing_is_waited_for_before_anything_is_sent(silence):
    assert silence.due == math.inf
    assert not silence.passed(1e9)
    assert silence.lasted(1e9) == 0.0


def test_before_anything_was_heard_a_peer_may_be_one_that_only_reports():
    silence = Silence()
    send(silence, 0.0, 7.4)
    assert silence.due == REPORT_PERIOD
    assert not silence.passed(7.4)
    assert silence.passed(7.5)


def test_a_second_of_sending_without_feedback_is_silence(silence):
    send(silence, 5.0, 5.9)
    assert silence.due == 6.0
    assert not silence.passed(5.99)
    assert not silence.is_silent
    assert silence.passed(6.0)
    assert silence.is_silent
    assert silence.due == 7.0
    assert not silence.passed(6.0)


def test_it_lowers_again_for_each_second(silence):
    send(silence, 0.0, 4.0)
    assert [silence.passed(3.5) for _ in range(4)] == [True, True, True, False]


def test_feedback_ends_it(silence):
    send(silence, 0.0, 1.0)
    assert silence.passed(1.0)
    assert silence.lasted(1.5) == 1.5
    silence.heard()
    assert not silence.is_silent
    assert silence.due == math.inf
    assert silence.lasted(2.0) == 0.0
    silence.sent(3.0)
    assert silence.due == 4.0


def test_reports_are_waited_for_longer(silence):
    silence.heard(7.5)
    send(silence, 0.0, 7.4)
    assert silence.due == 7.5
    assert not silence.passed(7.4)
    assert silence.passed(7.5)
    assert silence.due == 15.0
    silence.heard()
    silence.sent(8.0)
    assert silence.due == 9.0


def test_the_last_packets_before_a_pause_are_no_reason(silence):
    send(silence, 0.0, 0.4)
    assert not silence.passed(1.0)
    assert not silence.is_silent
    assert silence.due == math.inf
    silence.sent(60.0)
    assert silence.due == 61.0


def test_half_a_second_of_sending_is_one(silence):
    send(silence, 0.0, 0.5, 0.125)
    assert silence.passed(1.0)
    # ... and then a pause: it stays silent, and goes no lower.
    assert not silence.passed(60.0)
    assert silence.is_silent


def test_how_long_it_lasted_counts_from_the_first_packet_without_an_answer(silence):
    send(silence, 2.0, 2.5, 0.125)
    assert silence.passed(3.0)
    assert not silence.passed(4.0)
    silence.sent(10.0)
    assert silence.lasted(10.0) == 8.0
