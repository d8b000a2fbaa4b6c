"""One connection of a conference in virtual time: real media, real receivers, packets on a link.

What apps use is used here: `open_allocator`, a `TrackReceiver` for each track, and a
`ConnectionEstimator` that hears transport-wide feedback from a `FeedbackRecorder`. Written anew is
only what no app shares: the sources, the network, and the clock.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

import trio
from attrs import define, field

from ...estimation import FeedbackError, FeedbackRecorder, Pacer
from ...interface import ConnectionAllocator
from ...network.bottleneck import Bottleneck
from ...network.impairments import Impairment, feedback_interval
from ...receiver.actions import SwitchReason
from ...receiver.track_receiver import TrackReceiver
from ...shell.connection_estimator import BURST, REPEAT, ConnectionEstimator
from ...shell.estimator_options import SendCallback
from ...shell.opening import open_allocator
from .cameras import KEY_FRAME
from .clock import STEPS_PER_SECOND
from .media import (
    FRAME_RATE,
    KEY_ASKED_EVERY,
    LARGEST_PACKET,
    Act,
    PictureSource,
    Voice,
)
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

SMALLEST_PADDING = 60
"""Bytes: headers, and a little."""

NONE = -1
"""No variant."""


@define
class Seat:
    """The life of one receiver, as figures need it. Times are s, levels count from 0.

    Attributes:
        track: What it is.
        flows: What flowed: (time, level), `NONE` for nothing.
        decisions: What was asked for: (time, level, reason).
        presence: What could be shown: (time, the levels that its source sends and its viewer wants);
            no levels while it is away, off or muted.
        joined: When it joined, each time.
    """

    track: SimulatedTrack
    flows: list[tuple[float, int]] = field(factory=list)
    decisions: list[tuple[float, int, str]] = field(factory=list)
    presence: list[tuple[float, tuple[int, ...]]] = field(factory=list)
    joined: list[float] = field(factory=list)


class Record:
    """What a run leaves: bits in steps of the clock, and what everybody did.

    Attributes:
        media: What was sent in each step, padding apart, bits.
        padding: The padding in it, bits.
        dropped: What of both got lost anywhere, bits.
        free_at: When all that was sent up to the end of a step is transmitted, s; 0 where nothing
            was sent in it.
        estimates: (time, bit/s), each as it was told.
        seats: The life of each receiver.
        statistics: The allocator's own, by name.
        packets: How many were sent.
    """

    def __init__(self, steps: int, tracks: Sequence[SimulatedTrack]) -> None:
        self.media: list[float] = [0.0] * (steps + 1)
        self.padding: list[float] = [0.0] * (steps + 1)
        self.dropped: list[float] = [0.0] * (steps + 1)
        self.free_at: list[float] = [0.0] * (steps + 1)
        self.estimates: list[tuple[float, int]] = []
        self.seats: list[Seat] = [Seat(track) for track in tracks]
        self.statistics: Mapping[str, int] = {}
        self.packets: int = 0


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
    run = _Run(trace, tracks, impairments, seed, is_ideal=estimates == "ideal", acts=acts)
    return run_driven(partial(run.live, policy, dict(settings or {})), seed)


class _Driven(ConnectionEstimator):
    """An estimator whose time is driven: its task is never woken for a packet."""

    _wake = -math.inf

    def _arm(self) -> None:
        # When there is something to do besides sending: only what comes in changes that.
        self._wake = min(self._estimator.wake_at, self._told_at + REPEAT)

    @property
    def due(self) -> float:
        """When `act` is to be called, s."""
        pacer = self._pacer
        send_at = pacer.next_send_time
        if not pacer.is_probing:
            send_at = max(send_at, self._acted_at + BURST)
        return min(self._wake, send_at)

    def pace(
        self, send: SendCallback, size: int, *, priority: int = 0, key: Hashable = None
    ) -> bool:
        """See `ConnectionEstimator.pace`; what is checked there is known here."""
        self._pacer.enqueue(send, size, trio.current_time(), priority=priority, key=key)
        return True

    def act(self) -> bool:
        """Do what is due.

        Returns:
            Whether the allocator was told something.
        """
        now = trio.current_time()
        if now < self._wake:
            self._acted_at = now
            self._send_due(now)
            return False
        before = self._told_at
        self._act()
        self._arm()
        return self._told_at != before


class _IdealPacing:
    """Paces as a `ConnectionEstimator` does, at estimates that come from elsewhere."""

    def __init__(self, clock: DrivenClock) -> None:
        self._clock = clock
        self._pacer: Pacer[Callable[[int], object]] = Pacer(300_000)
        self._sequence = 0

    @property
    def due(self) -> float:
        return self._pacer.next_send_time

    def set_bitrate(self, bitrate: int) -> None:
        self._pacer.set_bitrate(bitrate, self._clock.now)

    def pace(
        self, send: Callable[[int], object], size: int, *, priority: int = 0, key: Hashable = None
    ) -> bool:
        self._pacer.enqueue(send, size, self._clock.now, priority=priority, key=key)
        return True

    def withdraw(self, key: Hashable) -> int:
        return len(self._pacer.withdraw(key))

    def packet_sent(self, _size: int) -> int:
        self._sequence = (self._sequence + 1) % 2**16
        return self._sequence

    def act(self) -> bool:
        while (departure := self._pacer.pop(self._clock.now)) is not None:
            departure.packet(self.packet_sent(departure.size))
        return False


class _Participant:
    """One track: its source, its receiver, and what is known of both."""

    def __init__(self, run: _Run, number: int, spec: SimulatedTrack, seat: Seat) -> None:
        self.run = run
        self.number = number
        self.spec = spec
        self.seat = seat
        self.names = [variant.name for variant in spec.track.ladder]
        self.chance = Random(f"{run.seed}/source/{spec.name}")  # noqa: S311 - repeatable
        self.is_on = True
        self.is_muted = False
        self.top_is_off = False
        self.pin: str | None = None
        self.target: str | None = None
        self.key_due = math.inf
        self.receiver: TrackReceiver | None = None
        self.scope = trio.CancelScope()
        self.frames = 0
        self.importance = {"audio": 2, "screen": 1}.get(spec.kind, 0)
        self.level = NONE

    # --- joining and leaving ---------------------------------------------------------------------

    def join(self) -> None:
        spec = self.spec
        options: dict[str, Any] = {
            "priority": spec.priority,
            "weight": spec.weight,
            "pausable": spec.pausable,
            "min_bitrate": spec.min_bitrate,
            "max_bitrate": spec.max_bitrate,
        }
        is_picture = spec.is_counted
        self.receiver = TrackReceiver(
            self.run.allocator,
            spec.track,
            request_variant=self.switch,
            send_padding=self.pad if is_picture else None,
            pin=self.pin,
            target=self.target,
            **options,
        )
        self.scope = trio.CancelScope()
        self.seat.joined.append(self.run.clock.now)
        self.run.nursery.start_soon(self._live, self.receiver, self.scope)
        self.run.touched.add(self.number)

    async def _live(self, receiver: TrackReceiver, scope: trio.CancelScope) -> None:
        with scope:
            await receiver.run()

    def leave(self) -> None:
        self.seat.decisions.append((self.run.clock.now, NONE, "left"))
        self.scope.cancel()
        self.receiver = None
        self.key_due = math.inf

    # --- what is asked of the source -------------------------------------------------------------

    def switch(self, variant: str | None, reason: SwitchReason) -> None:
        now = self.run.clock.now
        level = NONE if variant is None else self.names.index(variant)
        self.seat.decisions.append((now, level, reason.value))
        self.run.touched.add(self.number)
        if variant is None:
            return
        if self.spec.is_counted:
            self.ask_for_key_frame()
        else:
            self.run.at(now, self.start_voice)

    def start_voice(self) -> None:
        """A voice needs no key frame: it flows at once."""
        if self.receiver is not None and self.receiver.queued_variant is not None:
            self.receiver.variant_switched(self.receiver.queued_variant)
            self.run.touched.add(self.number)

    def ask_for_key_frame(self) -> None:
        """One key frame serves all who asked before it came."""
        if self.key_due == math.inf and self.is_on:
            self.key_due = self.run.clock.now + self.chance.uniform(*KEY_FRAME)
            self.run.at(self.key_due, self.key_frame)

    def key_frame(self) -> None:
        """The publisher sends a key frame on each layer; here, what flows or is waited for comes."""
        if self.key_due != self.run.clock.now:
            return  # the one that was asked for was not sent: it had left, or was off
        self.key_due = math.inf
        receiver = self.receiver
        if receiver is None or not self.is_on:
            return
        queued = receiver.queued_variant
        if queued is not None and self.sends(queued):
            receiver.variant_switched(queued)
            # As `MediaTrack.switched`: what waits of the variant before would only be in the way.
            self.run.pacing.withdraw(self)
            self.run.touched.add(self.number)
        variant = receiver.current_variant
        if variant is None or not self.sends(variant):
            return
        self.send_frame(self.source.key_frame(variant, self.run.clock.now))
        self.frames += 1
        self.run.at(self.run.clock.now + 1 / FRAME_RATE, self.frame, self.frames)

    def sends(self, variant: str) -> bool:
        """Whether the source sends this variant."""
        return self.is_on and not (self.top_is_off and variant == self.names[-1])

    # --- frames and packets ----------------------------------------------------------------------

    @property
    def source(self) -> PictureSource:
        return self.run.pictures[self.number]

    def frame(self, series: int) -> None:
        receiver = self.receiver
        if series != self.frames or receiver is None:
            return
        variant = receiver.current_variant
        if variant is None or not self.sends(variant):
            return
        now = self.run.clock.now
        size = self.source.frame(variant, now)
        if size:
            self.send_frame(size)
        self.run.at(now + 1 / FRAME_RATE, self.frame, series)

    def talk(self) -> None:
        now = self.run.clock.now
        size, following = self.run.voices[self.number].frame(now)
        if self.receiver is not None and self.receiver.current_variant is not None:
            self.send_frame(size)
        self.run.at(now + following, self.talk)

    def send_frame(self, size: int) -> None:
        pace = self.run.pacing.pace
        while size > 0:
            part = min(size, LARGEST_PACKET)
            pace(partial(self.send, part), part, priority=self.importance, key=self)
            size -= part

    def send(self, size: int, sequence: int) -> None:
        self.run.transmit(sequence, size, is_padding=False)
        if self.receiver is not None:
            self.receiver.packet_sent(size)

    def pad(self, due: int) -> int:
        """Send padding: media again, of the size that is due, as there is always some of about that."""
        left = due
        while left > 0:
            size = min(max(left, SMALLEST_PADDING), LARGEST_PACKET)
            self.run.transmit(self.run.pacing.packet_sent(size), size, is_padding=True)
            left -= size
        return due - left

    # --- what happens to it ----------------------------------------------------------------------

    def act(self, act: Act) -> None:
        receiver = self.receiver
        match act.kind:
            case "leave" if receiver is not None:
                self.leave()
            case "join" if receiver is None:
                self.join()
            case "off":
                self.is_on = False
                if receiver is not None:
                    receiver.variant_inactive(*self.names)
            case "on":
                self.is_on = True
                if receiver is not None:
                    for name in self.names:
                        receiver.variant_active(name)
                    if receiver.queued_variant is not None:
                        self.ask_for_key_frame()
            case "mute" | "unmute":
                self.is_muted = act.kind == "mute"
                if receiver is not None:
                    (receiver.mute if self.is_muted else receiver.unmute)()
            case "pin":
                self.pin = act.variant
                if receiver is not None:
                    receiver.set_pin(act.variant)
            case "target":
                self.target = act.variant
                if receiver is not None:
                    receiver.set_target(act.variant)
            case "top_off":
                self.top_is_off = True
                if receiver is not None:
                    receiver.variant_inactive(self.names[-1])
            case _:
                self.top_is_off = False
                if receiver is not None:
                    receiver.variant_active(self.names[-1])
        self.run.touched.add(self.number)

    def note(self) -> None:
        """Write down what flows and what could."""
        now = self.run.clock.now
        receiver = self.receiver
        variant = None if receiver is None else receiver.current_variant
        level = NONE if variant is None or not self.sends(variant) else self.names.index(variant)
        if level != self.level:
            self.level = level
            self.seat.flows.append((now, level))
        levels = self._levels()
        presence = self.seat.presence
        if not presence or presence[-1][1] != levels:
            presence.append((now, levels))

    def _levels(self) -> tuple[int, ...]:
        if self.receiver is None or self.is_muted:
            return ()
        best = len(self.names) - 1
        if self.target is not None:
            best = self.names.index(self.target)
        wanted = range(best + 1) if self.pin is None else (self.names.index(self.pin),)
        return tuple(level for level in wanted if self.sends(self.names[level]))


class _Run:
    """Everything of one run, and the loop."""

    allocator: ConnectionAllocator
    nursery: trio.Nursery
    clock: DrivenClock
    pacing: _Driven | _IdealPacing

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
        self.duration = trace.duration
        self.record = Record(trace.steps, tracks)
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
        self.clock = clock
        kind = "ideal" if self._is_ideal else "ramping"
        async with (
            open_allocator(policy=policy, **{"estimates": kind, **settings}) as self.allocator,
            trio.open_nursery() as self.nursery,
        ):
            if self._is_ideal:
                self.pacing = _IdealPacing(clock)
                self.at(IDEAL_EVERY, self._estimate_ideally)
            else:
                driven = _Driven.create(self.nursery, self.allocator, send_padding=self._fill)
                assert isinstance(driven, _Driven)
                self.pacing = driven
                self.at(self._interval, self._report)
            self.participants = [
                _Participant(self, number, spec, seat)
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

    def _others_ask(self, one: _Participant) -> None:
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
        assert isinstance(self.pacing, _Driven)
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
        assert isinstance(self.pacing, _IdealPacing)
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
