"""One stream out of several layers: nothing is missed, and nothing comes twice."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given, strategies as st

from examples.sfu.description import picture_id
from examples.sfu.rewriting import StreamRewriter
from examples.sfu.rtp import RtpPacket
from examples.sfu.vp8 import describe


def packet(sequence, timestamp=0, picture=0, tl0=0, *, payload=True):
    data = b"\x90\xe0" + (0x8000 | picture % 2**15).to_bytes(2, "big") + bytes([tl0 % 256, 0, 0])
    return RtpPacket(
        96, sequence % 2**16, timestamp % 2**32, 1, data if payload else b"", False, {}
    )


def begin(rewriter, first, now):
    rewriter.begin(first, describe(first.payload), now)
    return rewrite(rewriter, first, now)


def rewrite(rewriter, each, now=0.0):
    return rewriter.rewrite(each, describe(each.payload), now)


def test_numbers_go_on_where_the_layer_changes():
    rewriter = StreamRewriter(65_535, 2**32 - 1, 90_000)
    first = begin(rewriter, packet(100, 5_000, 7, 3), 10.0)
    assert first.sequence == 65_535
    assert rewrite(rewriter, packet(101, 5_000, 7, 3), 10.0).sequence == 0
    second = begin(rewriter, packet(9, 77, 500, 200), 10.1)
    assert second.sequence == 1
    assert (second.timestamp - first.timestamp) % 2**32 == 9_000
    pictures = [picture_id(each.payload, describe(each.payload)) for each in (first, second)]
    assert pictures == [1, 2]
    assert [each.payload[4] for each in (first, second)] == [1, 2]


def test_packets_from_before_the_beginning_are_left_out():
    rewriter = StreamRewriter(0, 0, 90_000)
    begin(rewriter, packet(100), 0.0)
    assert rewrite(rewriter, packet(99)) is None
    assert rewrite(rewriter, packet(102)).sequence == 2
    assert rewrite(rewriter, packet(101)).sequence == 1


def test_padding_of_the_publisher_leaves_no_gap():
    rewriter = StreamRewriter(0, 0, 90_000)
    begin(rewriter, packet(100), 0.0)
    for sequence in (101, 102, 102, 99):
        rewriter.skip(sequence)
    assert rewrite(rewriter, packet(103)).sequence == 1
    rewriter.skip(105)
    assert rewrite(rewriter, packet(106)).sequence == 3
    assert rewrite(rewriter, packet(104)).sequence == 2, "late, and before what was left out"


def test_padding_that_was_overtaken_keeps_its_gap():
    rewriter = StreamRewriter(0, 0, 90_000)
    begin(rewriter, packet(100), 0.0)
    rewriter.skip(103)
    assert rewrite(rewriter, packet(104)).sequence == 3
    rewriter.skip(102)
    assert rewrite(rewriter, packet(105)).sequence == 4, "nothing that was sent is numbered anew"


def test_so_much_padding_that_the_first_is_forgotten_still_leaves_no_gap():
    rewriter = StreamRewriter(0, 0, 90_000)
    begin(rewriter, packet(0), 0.0)
    for sequence in range(1, 1_001):
        rewriter.skip(sequence)
    assert rewrite(rewriter, packet(1_001)).sequence == 1


@given(
    layers=st.lists(
        st.tuples(
            st.integers(0, 2**16 - 1),
            st.integers(0, 2**32 - 1),
            st.lists(st.booleans(), max_size=40),
        ),
        min_size=1,
        max_size=5,
    ),
    start=st.integers(0, 2**16 - 1),
)
@example(layers=[(65_530, 0, [True] * 3 + [False] * 9), (0, 0, [False, True])], start=65_535)
def test_a_subscriber_sees_one_stream(layers, start):
    rewriter = StreamRewriter(start, 12, 90_000)
    out = []
    now = 0.0
    for sequence, timestamp, rest in layers:
        now += 0.02
        out.append(begin(rewriter, packet(sequence, timestamp, sequence), now))
        for index, is_padding in enumerate(rest, 1):
            now += 0.02
            if is_padding:
                rewriter.skip((sequence + index) % 2**16)
            else:
                each = packet(sequence + index, timestamp + 1_800 * index, sequence + index)
                out.append(rewrite(rewriter, each, now))
    assert [each.sequence for each in out] == [(start + n) % 2**16 for n in range(len(out))]
    steps = [(after.timestamp - before.timestamp) % 2**32 for before, after in pairwise(out)]
    assert all(1 <= step <= 1_800 * 42 for step in steps)
