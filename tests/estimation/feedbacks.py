"""What the tests of feedback share: packets made byte by byte, and strategies that draw feedbacks."""

from __future__ import annotations

import struct
from itertools import chain

from hypothesis import strategies as st

from trio_allocator.estimation import (
    FeedbackRecorder,
    ReceiverReport,
    ReportBlock,
    TransportFeedback,
)

SENDER = 0x01020304
MEDIA = 0x0A0B0C0D

SDES = bytes([0x80, 202, 0, 0])
"""A report of another kind: nothing for an estimator."""


def arrived(*packets: tuple[int, float]) -> bytes:
    """The feedback of a peer to which these packets came: sequence number and time, s."""
    recorder = FeedbackRecorder(1, 1)
    for sequence, time in packets:
        recorder.received(sequence, time)
    return b"".join(feedback.build() for feedback in recorder.build_feedback())


def reported(highest: int, lost: int) -> bytes:
    """A receiver report: the highest sequence number, and how many were lost since the beginning."""
    return ReceiverReport(1, (ReportBlock(5, 0, lost, highest),)).build()


def transport_feedback(
    chunks: bytes,
    deltas: bytes,
    *,
    covered: int,
    base: int = 100,
    reference: int = 5,
    count: int = 7,
    padding: bytes | None = None,
) -> bytes:
    """A packet as the draft draws it, put together by hand; nothing of it is checked."""
    body = struct.pack("!IIHH", SENDER, MEDIA, base, covered)
    body += reference.to_bytes(3, "big") + bytes([count]) + chunks + deltas
    first = 0x8F
    if padding is None:
        body += bytes(-len(body) % 4)
    else:
        body += padding
        first |= 0x20
    return struct.pack("!BBH", first, 205, len(body) // 4) + body


def covering(arrivals, **fields):
    """A feedback on these arrivals, µs; all else as `transport_feedback` has it."""
    known = {"base_sequence": 100, "reference_time": 5, "feedback_count": 7}
    return TransportFeedback(SENDER, MEDIA, arrivals=tuple(arrivals), **{**known, **fields})


def _summed(deltas):
    time = 0
    arrivals = []
    for delta in deltas:
        if delta is None:
            arrivals.append(None)
        else:
            time += delta * 250
            arrivals.append(time)
    return tuple(arrivals)


_deltas = st.one_of(
    st.none(),
    st.integers(0, 3),
    st.integers(0, 255),
    st.integers(-(2**15), 2**15 - 1),
    st.sampled_from([-(2**15), -1, 0, 255, 256, 2**15 - 1]),
)
_runs = st.builds(lambda delta, length: [delta] * length, _deltas, st.integers(1, 40))
_arrivals = st.one_of(
    st.lists(_deltas, min_size=1, max_size=60),
    st.lists(_runs, min_size=1, max_size=8).map(lambda runs: [*chain(*runs)]),
).map(_summed)

feedbacks = st.builds(
    TransportFeedback,
    sender_ssrc=st.integers(0, 2**32 - 1),
    media_ssrc=st.integers(0, 2**32 - 1),
    base_sequence=st.integers(0, 2**16 - 1),
    reference_time=st.integers(0, 2**24 - 1),
    feedback_count=st.integers(0, 255),
    arrivals=_arrivals,
)
"""Any feedback that the format can say, with up to some hundred packets."""
