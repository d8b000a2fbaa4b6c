"""What a stream lacks, asked for in time, and packets that are unwrapped."""

from __future__ import annotations

import pytest

from examples.sfu.repair import AGAIN, GIVE_UP, LONGEST_GAP, Repairs, unwrapped
from examples.sfu.rtp import RtpPacket


def came(repairs, *sequences, now=0.0):
    return [repairs.received(sequence, now) for sequence in sequences]


@pytest.mark.parametrize("first", [0, 65_534])
def test_what_is_missing_is_asked_for_once_in_a_while(first):
    repairs = Repairs()
    assert came(repairs, first, (first + 4) % 2**16) == [True, True]
    missing = tuple((first + index) % 2**16 for index in (1, 2, 3))
    assert repairs.due(0.05) == missing
    assert repairs.due(0.06) == ()
    assert came(repairs, missing[1]) == [False]
    assert repairs.due(0.05 + AGAIN) == (missing[0], missing[2])


def test_nobody_waits_for_ever():
    repairs = Repairs()
    came(repairs, 1, 3)
    assert repairs.due(GIVE_UP - 0.01) == (2,)
    assert repairs.due(GIVE_UP) == ()
    with pytest.raises(KeyError):
        came(repairs, 2)


def test_what_has_come_comes_once():
    repairs = Repairs()
    came(repairs, 1, 3, 2)
    for sequence in (1, 2, 3):
        with pytest.raises(KeyError):
            came(repairs, sequence)


def test_a_jump_is_another_beginning():
    repairs = Repairs()
    came(repairs, 1, 3, 4 + LONGEST_GAP)
    assert repairs.due(0.0) == ()
    came(repairs, 5 + 2 * LONGEST_GAP - 1)
    assert len(repairs.due(0.0)) == LONGEST_GAP - 1


def packet(payload):
    return RtpPacket(97, 9, 5, 777, payload, is_marked=True, extensions={})


def test_a_retransmission_is_the_packet_that_it_repeats():
    found = unwrapped(packet(b"\x01\x02video"), 96, 11)
    assert found == RtpPacket(96, 0x102, 5, 11, b"video", is_marked=True, extensions={})


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x02"])
def test_padding_repeats_nothing(payload):
    assert unwrapped(packet(payload), 96, 11) is None
