"""Transport-wide feedback: what a packet of it costs, to read and to make."""

from __future__ import annotations

import random
from collections.abc import Iterator

from trio_allocator.estimation import FeedbackReader, FeedbackRecorder, TransportFeedback

from .measure import Row, median_seconds, micro

COVERED = 100
FEEDBACKS = 200


def _packets() -> list[bytes]:
    """Feedbacks on 100 packets each, as over a busy link: 5 % lost, 5 % of the deltas large."""
    source = random.Random(1)
    recorder = FeedbackRecorder(1, 2)
    now = 0.0
    packets = []
    for sequence in range(COVERED * FEEDBACKS):
        now += source.uniform(0.07, 0.12) if source.random() < 0.05 else source.uniform(0, 0.01)
        # The first and the last of each hundred arrive, so that all feedbacks cover as many.
        if sequence % COVERED in {0, COVERED - 1} or source.random() < 0.95:
            recorder.received(sequence, now)
        if sequence % COVERED == COVERED - 1:
            packets += [feedback.build() for feedback in recorder.build_feedback()]
    return packets


def rows() -> Iterator[Row]:
    """Measure parser, reader and builder."""
    packets = _packets()
    parsed = [TransportFeedback.parse(packet) for packet in packets]
    covered = {len(feedback.arrivals) for feedback in parsed}
    if (len(parsed), covered) != (FEEDBACKS, {COVERED}):
        raise RuntimeError(f"{len(parsed)} feedbacks on {covered} packets are not what is measured")

    def parse() -> None:
        for packet in packets:
            TransportFeedback.parse(packet)

    def read() -> None:
        reader = FeedbackReader()
        for turn, feedback in enumerate(parsed):
            reader.read(feedback, now=turn / 10, last_sent=COVERED * (turn + 1))

    def build() -> None:
        for feedback in parsed:
            feedback.build()

    each = median_seconds(parse, 21) / FEEDBACKS
    yield Row(
        f"a feedback on {COVERED} packets, parsed",
        micro(each),
        "≤ 150 µs (stretch: 60 µs)",
        each <= 150e-6,
    )
    each = median_seconds(read, 21) / FEEDBACKS
    yield Row("what it tells of each packet, from one feedback to the next", micro(each))
    each = median_seconds(build, 21) / FEEDBACKS
    yield Row("such a feedback, built", micro(each))
