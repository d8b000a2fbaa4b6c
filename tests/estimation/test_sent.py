"""What was sent and not yet told of: each packet once, and never too many."""

from __future__ import annotations

import pytest

from trio_allocator.estimation.sent import (
    LONGEST,
    MOST,
    MOST_LOST,
    CountedBytes,
    SentPacket,
    SentPackets,
)


def packet(sent_at=0.0, size=1_000):
    return SentPacket(sent_at, size, None, size)


@pytest.fixture
def sent():
    return SentPackets()


def test_each_packet_is_told_of_once(sent):
    sent.add(1, packet())
    assert sent.received(1) == (packet(), False)
    assert sent.received(1) is None
    assert sent.lost(1) is None
    assert sent.received(2) is None


def test_a_lost_one_may_arrive_after_all(sent):
    sent.add(1, packet())
    assert sent.lost(1) == packet()
    assert sent.lost(1) is None
    assert sent.received(1) == (packet(), True)
    assert sent.received(1) is None


def test_a_number_in_use_begins_anew_and_is_the_youngest(sent):
    sent.add(1, packet())
    sent.add(2, packet(sent_at=1.0))
    sent.add(1, packet(sent_at=2.0))
    sent.forget(1.5 + LONGEST)
    assert sent.received(2) is None
    assert sent.received(1) == (packet(sent_at=2.0), False)


def test_there_are_never_too_many(sent):
    for number in range(MOST + 10):
        sent.add(number, packet())
    assert len(sent._waiting) == MOST
    assert sent.received(9) is None
    assert sent.received(10) is not None
    for number in range(11, MOST + 10):
        sent.lost(number)
    assert len(sent._lost) == MOST_LOST
    assert sent.received(MOST + 9 - MOST_LOST) is None
    assert sent.received(MOST + 10 - MOST_LOST) is not None


def test_what_is_too_old_is_forgotten(sent):
    for number in range(4):
        sent.add(number, packet(sent_at=float(number)))
    sent.lost(0)
    sent.lost(2)
    sent.forget(LONGEST + 2.0)
    assert sent.received(0) is None
    assert sent.received(1) is None
    assert sent.received(2) is not None
    assert sent.received(3) is not None
    sent.forget(1e9)
    assert not sent._waiting
    assert not sent._lost


def test_what_became_of_them_is_counted(sent):
    for number in range(4):
        sent.add(number, packet(size=100 + number))
    assert sent.counts() == (0, 0, 0)
    sent.received(0)
    sent.lost(1)
    sent.lost(2)
    assert sent.counts() == (1, 100, 2)
    sent.received(2)
    sent.received(2)
    sent.lost(9)
    assert sent.counts() == (2, 202, 1)


def sent_in_a_row(count):
    return [SentPacket(number / 100, 1_000, None, 1_000 * (number + 1)) for number in range(count)]


def test_bytes_whose_feedback_was_lost_count_with_the_next_packet():
    first, _, _, fourth, fifth = sent_in_a_row(5)
    counted = CountedBytes()
    assert counted.take(first) == (1_000, 0.0)
    assert counted.take(fourth) == (3_000, 0.0)
    assert counted.take(fifth) == (1_000, 0.04)
    assert counted.total == 5_000


def test_but_not_those_that_were_told_lost():
    first, lost, _, fourth, _ = sent_in_a_row(5)
    counted = CountedBytes()
    counted.take(first)
    counted.skip(lost)
    assert counted.take(fourth) == (2_000, 0.0)


def test_nor_twice_if_their_feedback_was_late():
    first, second, third, *_ = sent_in_a_row(5)
    counted = CountedBytes()
    counted.take(first)
    counted.take(third)
    assert counted.take(second) == (0, 0.01)
    counted.skip(second)
    assert counted.total == 3_000
