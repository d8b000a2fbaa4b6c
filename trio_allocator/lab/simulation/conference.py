"""One connection of a conference in virtual time: real media, real receivers, packets on a link.

What apps use is used here: `open_allocator`, a `TrackReceiver` for each track, and a
`ConnectionEstimator` that hears transport-wide feedback from a `FeedbackRecorder`. Written anew is
only what no app shares: the sources, the network, and the clock.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

import trio

from ...estimation import FeedbackError, FeedbackRecorder
from ...interface import ConnectionAllocator
from ...network.bottleneck import Bottleneck
from ...network.impairments import Impairment, feedback_interval
from ...shell.opening import open_allocator
from .clock import STEPS_PER_SECOND
from .media import (
    FRAME_RATE,
    KEY_ASKED_EVERY,
    Act,
    PictureSource,
    Voice,
)
from .pacing import Driven, IdealPacing
from .participant import Participant
from .record import Record
from .trace import Trace
from .tracks import SimulatedTrack
from .virtual_time import DrivenClock, run_driven

QUEUE = 0.3
"""The queue holds this much at the median capacity, s."""

SMALLEST_QUEUE = 6_000
"""... but some packets in any case, bytes."""

FEEDBACK = 0.1
"""The far end reports so often, s, unless an impairment says otherwise (libwebrtc: 50 to 250 ms)."""

IDEAL_EVERY = 1.0
"""An ideal estimate comes so often, s,"""

IDEAL_SHARE = 0.95
"""... and is this share of the capacity of the last second,"""

IDEAL_NOISE = 0.02
"""... and off by up to this share."""


def converse(
    trace: Trace,
    tracks: Sequence[SimulatedTrack],
    *,
    policy: Any = None,
    settings: Mapping[str, Any] | None = None,
    estimates: str = "real",
    impairments: Sequence[Impairment] = (),
    seed: int = 1,
    acts: Sequence[Act] = (),
) -> Record:
    """Let a connection live through a trace.

    Args:
        trace: The capacity of the link.
        tracks: What is sent.
        policy: As `open_allocator` takes it.
        settings: Of the allocator, by name.
        estimates: ``real`` or ``ideal``.
        impairments: What befalls packets and reports.
        seed: Of all that is random.
        acts: What happens to the receivers that have a picture, numbered from 0; see `script`.
    """
    run = ConferenceRun(trace, tracks, impairments, seed, is_ideal=estimates == "ideal", acts=acts)
    return run_driven(partial(run.live, policy, dict(settings or {})), seed)


class ConferenceRun:
    """Everything of one run, and the loop."""

    allocator: ConnectionAllocator
    nursery: trio.Nursery
    clock: DrivenClock
    pacing: Driven | IdealPacing
    participants: list[Participant]

    def __init__(
        self,
        trace: Trace,
        tracks: Sequence[SimulatedTrack],
        impairments: Sequence[Impairment],
        seed: int,
        *,
        is_ideal: bool,
        acts: Sequence[Act],
    ) -> None:
        self.trace = trace
        self.seed = seed
        self.duration: float = trace.duration
        self.record: Record = Record(trace.steps, tracks)
        self._tracks = tracks
        self._is_ideal = is_ideal
        queue = max(round(QUEUE * trace.median / 8), SMALLEST_QUEUE)
        self.link: Bottleneck[None] = Bottleneck(
            trace.schedule(),
            queue_size=queue,
            delay=trace.rtt / 2,
            impairments=impairments,
            seed=seed,
        )
        self._interval = feedback_interval(impairments, FEEDBACK)
        self._recorder = FeedbackRecorder(sender_ssrc=1, media_ssrc=2)
        self._arrivals: list[tuple[float, int, int]] = []
        self._events: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._order = 0
        self.touched: set[int] = set()
        self.pictures: dict[int, PictureSource] = {}
        self.voices: dict[int, Voice] = {}
        self._noise = Random(f"{seed}/estimates")  # noqa: S311 - repeatable, not secret
        self._acts = acts
        self._is_dirty = False

    def at(self, time: float, what: Callable[..., object], *arguments: Any) -> None:
        """Call something at a time."""
        self._order += 1
        heapq.heappush(self._events, (time, self._order, what, arguments))

    # --- the run ---------------------------------------------------------------------------------

    async def live(self, policy: Any, settings: dict[str, Any], clock: DrivenClock) -> Record:
        """Run it to the end of the trace."""
        self.clock = clock
        kind = "ideal" if self._is_ideal else "ramping"
        async with (
            open_allocator(policy=policy, **{"estimates": kind, **settings}) as self.allocator,
            trio.open_nursery() as self.nursery,
        ):
            if self._is_ideal:
                self.pacing = IdealPacing(clock)
                self.at(IDEAL_EVERY, self._estimate_ideally)
            else:
                driven = Driven.create(self.nursery, self.allocator, send_padding=self._fill)
                assert isinstance(driven, Driven)
                self.pacing = driven
                self.at(self._interval, self._report)
            self.participants = [
                Participant(self, number, spec, seat)
                for number, (spec, seat) in enumerate(
                    zip(self._tracks, self.record.seats, strict=True)
                )
            ]
            self._prepare()
            await self._loop()
            self.record.statistics = self.allocator.statistics().as_dict()
            self.nursery.cancel_scope.cancel()
        return self.record

    def _prepare(self) -> None:
        watched = [p for p in self.participants if p.spec.is_counted]
        for one in self.participants:
            phase = one.chance.random() / FRAME_RATE
            if one.spec.is_counted:
                is_screen = one.spec.kind == "screen"
                ladder = one.spec.ladder
                seed = f"{self.seed}/{one.spec.name}"
                source = PictureSource(ladder, seed, is_screen=is_screen)
                self.pictures[one.number] = source
                self.at(one.chance.uniform(0.5, 1.5) * KEY_ASKED_EVERY, self._others_ask, one)
            else:
                rate = max(one.spec.ladder.values(), default=35_000)
                self.voices[one.number] = Voice(rate, one.chance)
                self.at(phase, one.talk)
            self.at(phase, one.join)
        for act in self._acts:
            self.at(act.time, watched[act.receiver].act, act)

    async def _loop(self) -> None:
        clock, events, end = self.clock, self._events, self.duration
        await clock.settle()
        while True:
            due = self.pacing.due
            event = events[0][0]
            if due < event and due < clock.deadline:
                if due >= end:
                    break
                clock.now = max(clock.now, due)
                if not self.pacing.act():
                    continue
            elif clock.deadline < event:
                if clock.deadline >= end:
                    break
                clock.now = max(clock.now, clock.deadline)
            else:
                if event >= end:
                    break
                time, _order, what, arguments = heapq.heappop(events)
                clock.now = max(clock.now, time)
                what(*arguments)
                if not (self._is_dirty or self.touched):
                    continue
            self._is_dirty = False
            await clock.settle()
            while self.touched:
                number = self.touched.pop()
                self.participants[number].note()
        clock.now = end

    def _others_ask(self, one: Participant) -> None:
        one.ask_for_key_frame()
        self.at(
            self.clock.now + one.chance.uniform(0.5, 1.5) * KEY_ASKED_EVERY, self._others_ask, one
        )

    # --- the network -----------------------------------------------------------------------------

    def transmit(self, sequence: int, size: int, *, is_padding: bool) -> None:
        """Send a packet over the link."""
        now = self.clock.now
        record = self.record
        step = int(now * STEPS_PER_SECOND)
        bits = 8.0 * size
        record.packets += 1
        (record.padding if is_padding else record.media)[step] += bits
        passage = self.link.offer(now, size)
        record.free_at[step] = self.link.free_at
        if passage is None or passage.arrives_at == math.inf:
            record.dropped[step] += bits
        elif not self._is_ideal:
            heapq.heappush(self._arrivals, (passage.arrives_at, self._order, sequence))

    def _report(self) -> None:
        """The far end tells what has arrived."""
        now, arrivals = self.clock.now, self._arrivals
        while arrivals and arrivals[0][0] <= now:
            at, _order, sequence = heapq.heappop(arrivals)
            self._recorder.received(sequence, self.link.far_clock(at))
        for feedback in self._recorder.build_feedback():
            back = self.link.report(now)
            if back is not None:
                self.at(back, self._hear, feedback.build())
        self.at(now + self._interval, self._report)

    def _hear(self, rtcp: bytes) -> None:
        assert isinstance(self.pacing, Driven)
        with suppress(FeedbackError):
            self.pacing.feedback_received(rtcp)
        self.record.estimates.append((self.clock.now, self.pacing.estimate))
        self._is_dirty = True

    def _estimate_ideally(self) -> None:
        now = self.clock.now
        second = round(now) - 1
        capacity = float(self.trace.per_second()[second])
        queue = 8 * self.link.statistics(now).queue_bytes
        noise = 1 + self._noise.uniform(-IDEAL_NOISE, IDEAL_NOISE)
        estimate = round(max(IDEAL_SHARE * capacity - queue, 0.0) * noise)
        self.record.estimates.append((now, estimate))
        assert isinstance(self.pacing, IdealPacing)
        self.pacing.set_bitrate(estimate)
        self.allocator.update_bandwidth_estimation(estimate)
        self._is_dirty = True
        self.at(now + IDEAL_EVERY, self._estimate_ideally)

    # --- what the estimator asks -----------------------------------------------------------------

    def _fill(self, due: int) -> None:
        """Padding that the estimator wants is charged to any picture that there is."""
        for one in self.participants:
            if one.receiver is not None and one.spec.is_counted:
                one.receiver.padding_sent(one.pad(due))
                return
