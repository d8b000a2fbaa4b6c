"""The send-side estimator: what a packet costs, from its sending to what a feedback tells of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trio_allocator.estimation import (
    FeedbackReader,
    FeedbackRecorder,
    PacketResult,
    SendSideEstimator,
    TransportFeedback,
)

from .measure import Row, median_seconds, micro

PACKETS = 5_000
SIZE = 1_200
INTERVAL = 0.05
"""Between feedbacks, s: as libwebrtc's receivers do at 1 Mbit/s and above."""
WAY = 0.05
BAR = 10e-6
TIMES = 21

Step = Callable[[SendSideEstimator, FeedbackReader], object]


def _steps(bitrate: float, *, from_wire: bool) -> list[Step]:
    """What a sender of evenly spaced packets calls, in its order; the link is never full."""
    recorder = FeedbackRecorder(1, 2)
    spacing = 8 * SIZE / bitrate
    timed: list[tuple[float, Step]] = []
    told = 0
    for sequence in range(PACKETS):
        now = sequence * spacing
        timed.append((now, _sends(sequence, now)))
        recorder.received(sequence, now + WAY)
        if now // INTERVAL == (now + spacing) // INTERVAL:
            continue
        heard = now + 2 * WAY
        if from_wire:
            # By the time that it is read, what was sent in between is known, too.
            last_sent = min(int(heard / spacing), PACKETS - 1)
            timed += [
                (heard, _reads(feedback.build(), heard, last_sent))
                for feedback in recorder.build_feedback()
            ]
        else:
            results = [
                PacketResult(number, number * spacing + WAY) for number in range(told, sequence + 1)
            ]
            timed.append((heard, _hears(results, heard)))
        told = sequence + 1
    return [step for _time, step in sorted(timed, key=lambda item: item[0])]


def _sends(sequence: int, now: float) -> Step:
    return lambda estimator, _reader: estimator.packet_sent(sequence, SIZE, now)


def _hears(results: list[PacketResult], now: float) -> Step:
    return lambda estimator, _reader: estimator.feedback(results, now)


def _reads(data: bytes, now: float, last_sent: int) -> Step:
    def read(estimator: SendSideEstimator, reader: FeedbackReader) -> None:
        results = reader.read(TransportFeedback.parse(data), now=now, last_sent=last_sent)
        estimator.feedback(results, now, clock_jumps=reader.clock_jumps)

    return read


def _each(bitrate: float, *, from_wire: bool = False) -> float:
    """s a packet."""
    steps = _steps(bitrate, from_wire=from_wire)
    estimates = set()

    def run() -> None:
        estimator = SendSideEstimator(start_bitrate=bitrate)
        reader = FeedbackReader()
        for step in steps:
            step(estimator, reader)
        estimates.add(estimator.estimate)

    each = median_seconds(run, TIMES) / PACKETS
    if len(estimates) != 1 or min(estimates) < 1.2 * bitrate:
        raise RuntimeError(f"estimates of {estimates} bit/s are not what is measured")
    return each


def rows() -> Iterator[Row]:
    """Measure the estimator alone, and with what reads the feedback for it."""
    for bitrate in (1e6, 5e6):
        what = f"estimator, a packet and its share of a feedback, {bitrate / 1e6:.0f} Mbit/s"
        each = _each(bitrate)
        yield Row(what, micro(each), "≤ 10 µs", each <= BAR)
    each = _each(1e6, from_wire=True)
    yield Row("the same at 1 Mbit/s, with the feedback parsed and read", micro(each))
