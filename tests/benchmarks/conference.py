"""A conference sender over a link in virtual time: what the whole loop does, not one of its parts.

Cameras, perhaps a screen, and a voice share one connection: encoder, pacer, bottleneck, feedback,
estimator, allocator, prober. Each variant is sent at its nominal rate, the way a selective
forwarding unit sends what publishers made: nothing follows the estimate but by switching.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import product
from typing import Any

import trio
import trio.testing
from attrs import define, field, frozen

from trio_allocator import (
    ConnectionEstimator,
    ProbingAllocator,
    Track,
    TrackReceiver,
    open_allocator,
    open_connection_estimator,
)
from trio_allocator.estimation import FeedbackError, FeedbackRecorder, PaddingSource
from trio_allocator.network.impairments import Impairment
from trio_allocator.testing import MemoryLink

HEADER = 40
PAYLOAD = 1_160
WIRE = 1 + HEADER / PAYLOAD
KEY_DELAY = 0.15
"""From the request for a key frame to its arrival, s."""


@frozen
class Source:
    """What one member of the conference sends.

    Attributes:
        track: With its ladder.
        frame: Seconds between frames.
        priority: Of its receiver.
        importance: Its priority in the pacer.
        key_frame: Size of a key frame, in frames; 1 for an encoder without them.
        pausable: Whether it may be paused.
    """

    track: Track
    frame: float = 0.04
    priority: int = 0
    importance: int = 0
    key_frame: float = 1.0
    pausable: bool = True


VOICE = Source(
    Track("voice", kind="audio", variants={"opus": 40_000}), 0.02, 20, importance=9, pausable=False
)
SCREEN = Source(
    Track("screen", kind="screen", variants={"slides": 200_000, "motion": 1_000_000}),
    priority=10,
    importance=5,
)
SMOOTH = {"low": 150_000, "medium": 500_000, "high": 1_500_000}
COARSE = {"quarter": 130_000, "half": 420_000, "full": 1_250_000}

CONFERENCES: Mapping[str, Sequence[Source]] = {
    "smooth": [
        VOICE,
        SCREEN,
        *(Source(Track(f"camera-{name}", variants=SMOOTH)) for name in "abc"),
    ],
    "coarse": [
        VOICE,
        *(Source(Track(f"camera-{name}", variants=COARSE), key_frame=7) for name in "abc"),
    ],
}
"""One with a screen and cameras of three near steps, without key frames; one of cameras whose
steps are a factor of three apart, and where each switch brings a frame of seven times the size."""


@define
class Member:
    """A source, its encoder and its receiver."""

    source: Source
    conference: Conference
    receiver: TrackReceiver = field(init=False)
    history: list[tuple[float, str | None]] = field(factory=list)
    _key_at: float = math.inf
    _key_frame: bool = False
    _filling: PaddingSource[object] = field(
        init=False, factory=lambda: PaddingSource(has_rtx=False)
    )

    def __attrs_post_init__(self) -> None:
        self.receiver = TrackReceiver(
            self.conference.allocator,
            self.source.track,
            request_variant=self._switch,
            send_padding=self.pad if self.source.track.kind != "audio" else None,
            priority=self.source.priority,
            pausable=self.source.pausable,
        )

    def _switch(self, variant: str | None, _reason: object) -> None:
        self.history.append((trio.current_time(), variant))
        self._key_at = math.inf if variant is None else trio.current_time() + KEY_DELAY

    async def run(self, phase: float) -> None:
        """Send frames until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.receiver.run)
            await trio.sleep(phase)
            while True:
                queued = self.receiver.queued_variant
                if queued is not None and trio.current_time() >= self._key_at:
                    self.receiver.variant_switched(queued)
                    self._key_frame = True
                if variant := self.receiver.current_variant:
                    self._encode(self.source.track.variants[variant])
                await trio.sleep(self.source.frame)

    def _encode(self, rate: float) -> None:
        left = round(rate / 8 * self.source.frame)
        if self._key_frame:
            self._key_frame = False
            left = round(left * self.source.key_frame)
        while left > 0:
            size = min(left, PAYLOAD) + HEADER
            left -= size - HEADER
            send = partial(self._send, size, trio.current_time())
            self.conference.estimator.pace(send, size, priority=self.source.importance)

    def _send(self, size: int, made_at: float, number: int) -> None:
        self.conference.send(number, size, self.source.track.id, made_at)
        self.receiver.packet_sent(size)

    def pad(self, due: int) -> int:
        """Send padding, bytes."""
        sent = 0
        for packet in self._filling.packets(due):
            number = self.conference.estimator.packet_sent(packet.size)
            self.conference.send(number, packet.size, "padding", trio.current_time())
            sent += packet.size
        return sent


@frozen
class Arrival:
    """A packet that came through: of what, when it was made, when it arrived, bytes."""

    kind: str
    made_at: float
    arrived_at: float
    size: int


@define(eq=False)
class Conference:
    """Everything that goes over one connection, for as long as a run lasts.

    Attributes:
        capacity: Of the link, bit/s, or steps of (s, bit/s).
        sources: Who sends.
        settings: Of the allocator.
        delay: One way, s.
        queue_size: Of the bottleneck, bytes.
        impairments: Befall the packets.
        log: Gets a line for each decision.
    """

    capacity: float | Sequence[tuple[float, float]]
    sources: Sequence[Source]
    settings: Mapping[str, Any] = field(factory=dict)
    delay: float = 0.03
    queue_size: int = 60_000
    impairments: Sequence[Impairment] = ()
    log: Callable[[str], object] | None = None
    estimator_options: Mapping[str, Any] = field(factory=dict)
    watch: Callable[[Conference], object] | None = None
    allocator: ProbingAllocator = field(init=False)
    estimator: ConnectionEstimator = field(init=False)
    link: MemoryLink[tuple[int, str, float]] = field(init=False)
    members: list[Member] = field(init=False, factory=list)
    arrivals: list[Arrival] = field(init=False, factory=list)
    estimates: list[tuple[float, int]] = field(init=False, factory=list)
    began: float = field(init=False, default=0.0)

    def send(self, number: int, size: int, kind: str, made_at: float) -> None:
        """Put a packet on the link."""
        self.link.send_nowait((number, kind, made_at), size)

    def run(self, seconds: float) -> Conference:
        """Let it run, in virtual time."""
        trio.run(self._main, seconds, clock=trio.testing.MockClock(autojump_threshold=0))
        return self

    async def _main(self, seconds: float) -> None:
        self.began = trio.current_time()
        self.link = MemoryLink(
            self.capacity,
            delay=self.delay,
            queue_size=self.queue_size,
            impairments=self.impairments,
        )
        async with (
            open_allocator(**self.settings) as self.allocator,
            open_connection_estimator(
                self.allocator,
                send_padding=self._probe,
                **self.estimator_options,
            ) as self.estimator,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._network)
            if self.log is not None:
                nursery.start_soon(self._keep_log)
            for number, source in enumerate(self.sources):
                self.members.append(Member(source, self))
                nursery.start_soon(self.members[-1].run, 0.008 * number)
            end = self.began + seconds
            while trio.current_time() < end:
                await trio.sleep(0.1)
                self.estimates.append((trio.current_time() - self.began, self.estimator.estimate))
                if self.watch is not None:
                    self.watch(self)
            nursery.cancel_scope.cancel()

    async def _keep_log(self) -> None:
        assert self.log is not None
        with self.allocator.decisions() as decisions:
            async for decision in decisions:
                now = trio.current_time() - self.began
                self.log(f"{now:7.3f} {decision} (estimate {decision.estimate})")

    def _probe(self, due: int) -> None:
        for member in self.members:
            if member.source.track.kind != "audio":
                member.receiver.padding_sent(member.pad(due))
                return

    async def _network(self) -> None:
        recorder = FeedbackRecorder(sender_ssrc=1, media_ssrc=2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._deliver, recorder)
            while True:
                await trio.sleep(0.05)
                for feedback in recorder.build_feedback():
                    nursery.start_soon(self._answer, feedback.build())

    async def _answer(self, rtcp: bytes) -> None:
        await trio.sleep(self.delay)
        with suppress(FeedbackError):
            self.estimator.feedback_received(rtcp)

    async def _deliver(self, recorder: FeedbackRecorder) -> None:
        async for delivery in self.link:
            number, kind, made_at = delivery.payload
            recorder.received(number, delivery.arrives_at)
            self.arrivals.append(
                Arrival(kind, made_at - self.began, delivery.arrives_at - self.began, delivery.size)
            )


# --- figures -------------------------------------------------------------------------------------


@frozen
class Calm:
    """What a person would notice, from `since` to `until`.

    Attributes:
        changes: Variants requested.
        taken_back: Changes upwards of which the opposite came within 1 s.
        carried: Mean rate of the variants held, as a share of the best steps' rate.
        worth: The same of their utility (logarithmic), None counting 0.
        padding: Share of all that arrived in the second half.
        late: The latest 1 % of voice packets were at least so late, s.
        slow: The same of camera packets.
    """

    changes: int
    taken_back: int
    carried: float
    worth: float
    padding: float
    late: float
    slow: float


def figures(run: Conference, capacity: float, since: float, until: float) -> Calm:
    """Work them out after a run on a link of this capacity."""
    changes = taken_back = 0
    carried = worth = 0.0
    for member in run.members:
        rates = {None: 0.0, **member.source.track.variants}
        events = [(at - run.began, variant) for at, variant in member.history]
        for (_, old), (at, new), following in zip(
            [(0.0, None), *events], events, [*events[1:], (math.inf, None)], strict=False
        ):
            if since <= at < until:
                changes += 1
                raised = rates[new] > rates[old]
                back = rates[following[1]] < rates[new] and following[0] - at < 1
                taken_back += raised and back
            held = max(0.0, min(following[0], until) - max(at, since)) / (until - since)
            carried += rates[new] * held
            worth += math.log1p(rates[new] / 50_000) * held
    best, best_worth = best_steps(run.sources, capacity)
    half = (since + until) / 2
    late_half = [one for one in run.arrivals if half <= one.arrived_at < until]
    padding = sum(one.size for one in late_half if one.kind == "padding")
    media = [one for one in run.arrivals if since <= one.arrived_at < until]
    return Calm(
        changes=changes,
        taken_back=taken_back,
        carried=carried / best,
        worth=worth / best_worth,
        padding=padding / max(sum(one.size for one in late_half), 1),
        late=_latest(one for one in media if one.kind == "voice"),
        slow=_latest(one for one in media if one.kind.startswith("camera")),
    )


def _latest(arrivals: Iterable[Arrival]) -> float:
    delays = sorted(one.arrived_at - one.made_at for one in arrivals)
    return delays[int(0.99 * (len(delays) - 1))] if delays else math.inf


def best_steps(sources: Sequence[Source], capacity: float) -> tuple[float, float]:
    """The best choice of steps, by looking at all of them: rate, bit/s, and utility.

    Class by class, with the headers that the wire adds; in a class the greatest utility, and of
    equals the greatest rate.
    """
    rate = worth = 0.0
    room = capacity
    for priority in sorted({source.priority for source in sources}, reverse=True):
        ladders = [
            [*([0.0] if source.pausable else []), *source.track.variants.values()]
            for source in sources
            if source.priority == priority
        ]
        choices = [
            (sum(math.log1p(one / 50_000) for one in choice), sum(choice))
            for choice in product(*ladders)
            if WIRE * sum(choice) <= room
        ]
        gained, used = max(choices, default=(0.0, 0.0))
        worth += gained
        rate += used
        room -= WIRE * used
    return rate, worth
