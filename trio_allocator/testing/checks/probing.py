"""P1 to P5: what a prober does, as those who are to send padding see it.

What it aims at is not public, but the padding that goes out while nothing else does shows it.
An allocator that never probes breaks P1 and P5 only.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias

import trio
from attrs import frozen
from trio.testing import MockClock

from ...interface import ConnectionAllocator, ReceiverHandle
from ...messages import SendPadding
from ..bench import CAMERA, HIGH, LOW, MEDIUM, MICROPHONE, PLAIN, Bench, pass_time, unread
from ..violation import demand

Check: TypeAlias = Callable[[Bench], Awaitable[None]]
PACKET = 1_500
"""No packet is larger, bytes on the wire."""
LONGEST_TICK = 0.1
"""Two rounds of padding are no further apart, s."""
STEADY = 2.5
"""An estimate that was no higher for this long does not fall (P1 looks back for 2 s), s."""
ESTIMATE = 1_000_000
"""Carries the medium variant, and not even twice that would carry the high one, bit/s."""
ESCAPE_WITHIN = 20.0
"""With everyone paused, some padding goes out in every such stretch, s."""


@frozen
class _Departure:
    time: float
    size: int
    receiver: ReceiverHandle


async def _watch(
    allocator: ConnectionAllocator,
    receivers: Sequence[ReceiverHandle],
    seconds: float,
    *,
    estimate: float | None = ESTIMATE,
    media: float = 0.0,
    share: float = 1.0,
) -> list[_Departure]:
    """What leaves while these receivers read, and send this share of the padding asked for.

    The first sends media as well, bytes per second. The estimate comes at once and every second.
    """
    seen: list[_Departure] = []

    def send(receiver: ReceiverHandle, size: int, *, padding: bool) -> None:
        receiver.buffer_sent(size, padding=padding)
        seen.append(_Departure(trio.current_time(), size, receiver))

    async def send_padding(receiver: ReceiverHandle) -> None:
        async for message in receiver:
            if isinstance(message, SendPadding):
                send(receiver, int(message.size * share), padding=True)

    async def send_media() -> None:
        while True:
            await trio.sleep(0.01)
            send(receivers[0], int(media * 0.01), padding=False)

    async with trio.open_nursery() as nursery:
        for receiver in receivers:
            nursery.start_soon(send_padding, receiver)
        if media:
            nursery.start_soon(send_media)
        if estimate is not None:
            allocator.update_bandwidth_estimation(estimate)
        await pass_time(allocator, estimate, seconds)
        nursery.cancel_scope.cancel()
    return seen


def _size(seen: Iterable[_Departure]) -> int:
    return sum(one.size for one in seen)


def _insist_on_none(seen: Sequence[_Departure], invariant: str, when: str) -> None:
    demand(not seen, invariant, f"{_size(seen)} bytes of padding were asked for {when}")


async def _waiting_camera(allocator: ConnectionAllocator) -> ReceiverHandle:
    """A camera that has just asked for more than there is, under a steady estimate."""
    camera = allocator.register_track_receiver(CAMERA, MEDIUM)
    await _watch(allocator, [camera], STEADY)
    camera.request_allocation(HIGH)
    return camera


@frozen
class _Probe:
    """A probe whose rate is known: bytes per second, at ticks this far apart."""

    allocator: ConnectionAllocator
    camera: ReceiverHandle
    span: float
    first: list[_Departure]
    rate: float
    tick: float

    async def watch(self, spans: int, *others: ReceiverHandle, **how: float) -> list[_Departure]:
        receivers = (self.camera, *others)
        return await _watch(self.allocator, receivers, spans * self.span, **how)

    async def insist_on_pace(
        self, invariant: str, when: str, spans: int, *others: ReceiverHandle, **how: float
    ) -> None:
        sent = _size(await self.watch(spans, *others, **how))
        # A tick that is late or early, and two ticks' worth that is unread or banked.
        due, slack = self.rate * spans * self.span, self.rate * 3 * self.tick + 2 * PACKET
        what = f"{sent} bytes of padding were sent {when}, and {due:.0f} ± {slack:.0f} were due"
        demand(abs(sent - due) <= slack, invariant, what)


def _in_a_probe(check: Callable[[_Probe], Awaitable[None]]) -> Check:
    """Make a check in a probe, after its first sixth; without one there is nothing to check."""

    @functools.wraps(check)
    async def on_the_bench(bench: Bench) -> None:
        async with bench.open() as allocator:
            camera = await _waiting_camera(allocator)
            span = 0.16 * min(bench.terms.probe_patience, 3.0)
            seen = await _watch(allocator, [camera], span)
            if len(seen) > 2:
                gaps = [later.time - one.time for one, later in pairwise(seen)]
                rate, tick = _size(seen[1:]) / sum(gaps), min(LONGEST_TICK, max(gaps))
                await check(_Probe(allocator, camera, span, seen, rate, tick))

    return on_the_bench


async def probes_for_who_waits(bench: Bench) -> None:
    """P1: who claims more than its cap does not, nor one whose claim fits in what is free."""
    async with bench.open() as allocator:
        camera = allocator.register_track_receiver(CAMERA, MEDIUM, max_bitrate=MEDIUM)
        seen = await _watch(allocator, [camera], STEADY)
        _insist_on_none(seen, "P1", "although nobody waits")
        camera.request_allocation(HIGH)
        seen = await _watch(allocator, [camera], STEADY)
        _insist_on_none(seen, "P1", "for a claim above its own cap")
        camera.set_options(max_bitrate=None)
        seen = await _watch(allocator, [camera], 1.0)
        demand(seen, "P1", f"a claim of {HIGH} bit/s waits under {ESTIMATE}, without padding")
        camera.request_allocation(MEDIUM)
        allocator.force_allocation(camera, LOW)
        seen = await _watch(allocator, [camera], STEADY)
        _insist_on_none(seen, "P1", "for a claim that would fit")


async def rests_in_overuse_and_falls(bench: Bench) -> None:
    """P1: and is back when a fall is over."""
    async with bench.open() as allocator:
        camera = allocator.register_track_receiver(CAMERA, MEDIUM, negotiable=False)
        camera.request_allocation(HIGH)
        seen = await _watch(allocator, [camera], STEADY, estimate=MEDIUM - 10_000)
        _insist_on_none(seen, "P1", "in overuse")
    async with bench.open() as allocator:
        camera = await _waiting_camera(allocator)
        await _watch(allocator, [camera], 0.1)
        lower = 0.9 * ESTIMATE
        allocator.update_bandwidth_estimation(lower)
        unread(camera)
        seen = await _watch(allocator, [camera], 1.8, estimate=lower)
        _insist_on_none(seen, "P1", "within 2 s of a fall of the estimate by a tenth")
        seen = await _watch(allocator, [camera], 1.0, estimate=lower)
        demand(seen, "P1", "2 s after the fall of an estimate there still is no padding")


async def needs_a_live_estimate(bench: Bench) -> None:
    """P1: none before the first, none when they have stopped."""
    for held in (0, MEDIUM):
        async with bench.open() as allocator:
            camera = allocator.register_track_receiver(CAMERA, held)
            camera.request_allocation(HIGH)
            seen = await _watch(allocator, [camera], ESCAPE_WITHIN, estimate=None)
            _insist_on_none(seen, "P1", "before the first estimate")
    async with bench.open() as allocator:
        camera = await _waiting_camera(allocator)
        await trio.sleep(bench.terms.silence)
        unread(camera)
        seen = await _watch(allocator, [camera], ESCAPE_WITHIN, estimate=None)
        _insist_on_none(seen, "P1", "although estimates have stopped")


@_in_a_probe
async def keeps_to_one_line(probe: _Probe) -> None:
    """P2: media and padding do together, however much media there is, and from the start."""
    seen = [*probe.first, *await probe.watch(1)]
    start = seen[0]
    rate = _size(seen[1:]) / (seen[-1].time - start.time)
    for part in (0.35, 0.7):
        seen += await probe.watch(2, media=part * rate)
    # A tick, a packet of either kind, and what a packet changes in the rate, for twice its time.
    slack = rate * probe.tick + 4 * PACKET
    demand(start.size <= 2 * slack, "P2", f"it begins with {start.size} bytes of padding")
    sent = -start.size
    for one in seen:
        sent += one.size
        due = rate * (one.time - start.time)
        what = f"{sent} bytes of media and padding left, and {due:.0f} ± {slack:.0f} were due"
        demand(abs(sent - due) <= slack, "P2", f"after {one.time - start.time:.2f} s {what}")


@_in_a_probe
async def forgets_gaps_and_bursts(probe: _Probe) -> None:
    """P2: after a stalled loop, unread padding, and a burst of media all is as before."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock), "checks are made in virtual time"
    clock.jump(probe.span)
    await probe.insist_on_pace("P2", "after a stall of the loop", 1)
    await trio.sleep(probe.span)
    await probe.insist_on_pace("P2", "after a time when nobody read", 1)
    for _ in range(625):
        probe.camera.buffer_sent(1_200)
    await probe.insist_on_pace("P2", "after a burst of media", 1)


@_in_a_probe
async def counts_what_was_sent(probe: _Probe) -> None:
    """P2: that may be less than was asked for, or more."""
    for share in (0.8, 1.25):
        await probe.insist_on_pace("P2", f"in {share:.2f} times what was asked", 2, share=share)


async def takes_unread_back(bench: Bench) -> None:
    """P2: padding nobody has read is gone in the call that ends the probe."""
    for claim, estimate in ((MEDIUM, ESTIMATE), (HIGH, 2 * HIGH)):
        async with bench.open() as allocator:
            camera = await _waiting_camera(allocator)
            await trio.sleep(0.5)
            camera.request_allocation(claim)
            allocator.update_bandwidth_estimation(estimate)
            left = [message for message in unread(camera) if isinstance(message, SendPadding)]
            demand(not left, "P2", f"nobody waits any more, and {left} can still be read")


@_in_a_probe
async def shares_the_load(probe: _Probe) -> None:
    """P3: in equal parts; a receiver that leaves, or does not read, leaves its part to the others."""
    join = probe.allocator.register_track_receiver
    other, leaver = join(CAMERA), join(PLAIN)
    mute = [join(MICROPHONE), join(PLAIN, can_pad=False)]
    seen = await probe.watch(2, other, leaver, *mute)
    able = (probe.camera, other, leaver)
    amounts = [_size(one for one in seen if one.receiver is receiver) for receiver in able]
    demand(max(amounts) - min(amounts) <= PACKET, "P3", f"the shares are {amounts} bytes")
    wrong = [one.receiver for one in seen if one.receiver in mute]
    demand(not wrong, "P3", f"who can not send padding was asked to: {wrong}")
    leaver.close()
    await probe.insist_on_pace("P3", "after one of three had left", 1, other)
    await probe.insist_on_pace("P3", "with one of two not reading", 1)


@_in_a_probe
async def forgets_what_nobody_can_send(probe: _Probe) -> None:
    """P3: padding that was due in a time when nobody was able to send any is not owed later."""
    probe.camera.set_options(can_pad=False)
    unread(probe.camera)
    demand(not await probe.watch(2), "P3", "who can not send padding was asked to")
    probe.camera.set_options(can_pad=True)
    await probe.insist_on_pace("P3", "after a time when nobody could send any", 2)


async def aims_no_higher_than_it_may(bench: Bench) -> None:
    """P4: that is twice the estimate, or 200 kbit/s."""
    for estimate in (50_000, ESTIMATE):
        async with bench.open() as allocator:
            video = allocator.register_track_receiver(PLAIN, estimate // 2, negotiable=True)
            video.request_allocation(1_000 * estimate)
            sent = _size(await _watch(allocator, [video], 1.0, estimate=estimate))
            most = max(2 * estimate, 200_000) / 8 * (1.0 + LONGEST_TICK) + PACKET
            demand(sent <= most, "P4", f"{sent} bytes left in a second under {estimate} bit/s")


async def lets_a_raise_prove_itself(bench: Bench) -> None:
    """P4: for 2 s after a raise there is no padding, though somebody waits for more."""
    async with bench.open() as allocator:
        camera = allocator.register_track_receiver(CAMERA, LOW)
        await _watch(allocator, [camera], STEADY)
        camera.request_allocation(HIGH)
        if camera.allocation > LOW:
            seen = await _watch(allocator, [camera], 1.9)
            _insist_on_none(seen, "P4", "within 2 s of a raise")


async def gives_up_and_comes_back(bench: Bench) -> None:
    """P4: if nothing moves, it is patient for as long as it says, and pauses grow."""
    patience = bench.terms.probe_patience
    async with bench.open() as allocator:
        video = allocator.register_track_receiver(PLAIN, 50_000, negotiable=True)
        video.request_allocation(ESTIMATE)
        seen = await _watch(allocator, [video], 40 * patience, estimate=100_000)
    gaps = [round(later.time - one.time, 2) for one, later in pairwise(seen)]
    pauses = [gap for gap in gaps if gap > 0.5]
    length = (sum(gaps) - sum(pauses)) / (len(pauses) + 1)
    what = f"probes that move nothing take {length:.2f} s, with a patience of {patience} s"
    demand(length <= 1.5 * patience + 1.0, "P4", what)
    what = f"in {40 * patience} s there were these pauses between such probes: {pauses} s"
    shrinking = any(later < 0.9 * pause for pause, later in pairwise(pauses))
    # Within the first minute: later the limit of a tenth lengthens pauses, too.
    growing = pauses[1:] and not shrinking and pauses[:3][-1] > 1.1 * pauses[0]
    demand(growing or not seen, "P4", what)


async def knows_a_way_out(bench: Bench) -> None:
    """P5: with all paused under an estimate of zero, one that falls, and one that is old."""
    estimates: dict[str, Callable[[int], float | None]] = {
        "at zero": lambda _: 0.0,
        "falling": lambda turn: 100_000 * 0.9**turn,
        "old": lambda turn: None if turn else 100_000.0,
    }
    turns = int(ESCAPE_WITHIN / 0.5)
    for what, estimate in estimates.items():
        async with bench.open() as allocator:
            camera = allocator.register_track_receiver(CAMERA)
            camera.request_allocation(HIGH)
            for start in (0, turns):
                seen: list[_Departure] = []
                for turn in range(start, start + turns):
                    seen += await _watch(allocator, [camera], 0.5, estimate=estimate(turn))
                within = f"within {ESCAPE_WITHIN} s, with an estimate that is {what}"
                demand(seen, "P5", f"all are paused, and no padding goes out {within}")
            busy = len({int(one.time / LONGEST_TICK) for one in seen}) * LONGEST_TICK
            short = what != "old" or busy < ESCAPE_WITHIN / 2
            demand(short, "P5", f"padding goes out during {busy:.1f} s {within}")


async def goes_out_only_in_need(bench: Bench) -> None:
    """P5: there is none while media flows, or one of those who wait holds something."""
    for what in ("media flows", "one of those who wait holds something"):
        async with bench.open() as allocator:
            sender = allocator.register_track_receiver(CAMERA, LOW)
            paused = allocator.register_track_receiver(CAMERA)
            allocator.update_bandwidth_estimation(LOW)
            await trio.sleep(bench.terms.silence)
            paused.request_allocation(HIGH)
            if what != "media flows":
                sender.request_allocation(HIGH)
            for _ in range(int(ESCAPE_WITHIN / 0.25)):
                if what == "media flows":
                    sender.buffer_sent(1_200)
                seen = await _watch(allocator, [paused, sender], 0.25, estimate=None)
                _insist_on_none(seen, "P5", f"without an estimate, although {what}")


CHECKS: dict[str, tuple[Check, ...]] = {
    "P1": (probes_for_who_waits, rests_in_overuse_and_falls, needs_a_live_estimate),
    "P2": (keeps_to_one_line, forgets_gaps_and_bursts, counts_what_was_sent, takes_unread_back),
    "P3": (shares_the_load, forgets_what_nobody_can_send),
    "P4": (aims_no_higher_than_it_may, lets_a_raise_prove_itself, gives_up_and_comes_back),
    "P5": (knows_a_way_out, goes_out_only_in_need),
}
