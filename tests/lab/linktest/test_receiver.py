"""What a receiver asks for again."""

from trio_allocator.lab.linktest.receiver import PATIENCE, SPAN, TRIES, MissingPackets


def stream(*sequences, now=0.0):
    missing = MissingPackets()
    for sequence in sequences:
        missing.received(sequence, now)
    return missing


def test_nothing_is_missing_in_order_across_a_wrap():
    assert stream(65_534, 65_535, 0, 1).due(0.0) == []


def test_a_gap_is_asked_for_at_once_and_then_each_round_trip():
    missing = stream(65_534, 2)
    assert missing.due(0.0) == [65_535, 0, 1]
    assert missing.due(0.9 * PATIENCE) == []
    assert missing.due(PATIENCE) == [65_535, 0, 1]


def test_what_came_late_is_not_asked_for():
    missing = stream(1, 5, 3)
    assert missing.due(0.0) == [2, 4]
    missing.received(2, 0.0)
    missing.received(5, 0.0)
    assert missing.due(1.0) == [4]


def test_nobody_asks_for_ever():
    missing = stream(1, 3)
    asked = [missing.due(number * PATIENCE) for number in range(TRIES + 3)]
    assert asked == [[2]] * TRIES + [[]] * 3


def test_a_leap_is_another_beginning():
    missing = stream(1, 3, 3 + SPAN + 1, 3 + SPAN + 3)
    assert missing.due(0.0) == [3 + SPAN + 2]
