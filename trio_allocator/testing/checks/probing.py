"""P1 to P5: padding, as those who are to send it see it.

What a prober aims at is not public, but padding that goes out while nothing else does shows it.
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
"""Who has been as high as now for so long does not fall (P1 looks back for 2 s), s."""
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


async def _insist_on_none(
    allocator: ConnectionAllocator,
    receivers: Sequence[ReceiverHandle],
    seconds: float,
    invariant: str,
    when: str,
    estimate: float | None = ESTIMATE,
) -> None:
    sent = _size(await _watch(allocator, receivers, seconds, estimate=estimate))
    demand(not sent, invariant, f"{sent} bytes of padding were asked for {when}")


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
    begin: float
    span: float
    first: list[_Departure]
    rate: float
    tick: float

    async def watch(
        self, spans: int, *others: ReceiverHandle, **sending: float
    ) -> list[_Departure]:
        receivers = (self.camera, *others)
        return await _watch(self.allocator, receivers, spans * self.span, **sending)

    async def insist_on_pace(
        self, invariant: str, when: str, spans: int, *others: ReceiverHandle, **sending: float
    ) -> None:
        sent = _size(await self.watch(spans, *others, **sending))
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
            begin, span = trio.current_time(), 0.16 * min(bench.terms.probe_patience, 3.0)
            seen = await _watch(allocator, [camera], span)
            times = sorted({one.time for one in seen})
            if len(times) >= 3:
                later = _size(one for one in seen if one.time > times[0])
                tick = min(LONGEST_TICK, max(after - before for before, after in pairwise(times)))
                rate = later / (times[-1] - times[0])
                await check(_Probe(allocator, camera, begin, span, seen, rate, tick))

    return on_the_bench


async def only_a_claim_that_waits_is_probed_for(bench: Bench) -> None:
    """P1: one above its own cap does not wait, nor does one that fits in what is free."""
    async with bench.open() as allocator:
        camera = allocator.register_track_receiver(CAMERA, MEDIUM)
        await _insist_on_none(allocator, [camera], STEADY, "P1", "although nobody waits")
        camera.set_options(max_bitrate=MEDIUM)
        camera.request_allocation(HIGH)
        await _insist_on_none(allocator, [camera], STEADY, "P1", "for a claim above its own cap")
        camera.set_options(max_bitrate=None)
        seen = await _watch(allocator, [camera], 1.0)
        demand(seen, "P1", f"a claim of {HIGH} bit/s waits under {ESTIMATE}, without padding")
        camera.request_allocation(MEDIUM)
        allocator.force_allocation(camera, LOW)
        await _insist_on_none(allocator, [camera], STEADY, "P1", "for a claim that would fit")


async def overuse_and_a_fall_are_no_time_to_probe(bench: Bench) -> None:
    """P1: but when a fall is over, it is."""
    async with bench.open() as allocator:
        camera = allocator.register_track_receiver(CAMERA, MEDIUM, negotiable=False)
        camera.request_allocation(HIGH)
        await _insist_on_none(allocator, [camera], STEADY, "P1", "in overuse", MEDIUM - 10_000)
    async with bench.open() as allocator:
        camera = await _waiting_camera(allocator)
        allocator.update_bandwidth_estimation(ESTIMATE)
        await trio.sleep(0.1)
        lower = 0.9 * ESTIMATE
        allocator.update_bandwidth_estimation(lower)
        unread(camera)
        await _insist_on_none(allocator, [camera], 1.8, "P1", "while the estimate falls", lower)
        seen = await _watch(allocator, [camera], 1.0, estimate=lower)
        demand(seen, "P1", "2 s after the fall of an estimate there still is no padding")


async def padding_needs_a_live_estimate(bench: Bench) -> None:
    """P1: none before the first, none when they have stopped."""
    for held in (0, MEDIUM):
        async with bench.open() as allocator:
            camera = allocator.register_track_receiver(CAMERA, held)
            camera.request_allocation(HIGH)
            what = "before the first estimate"
            await _insist_on_none(allocator, [camera], ESCAPE_WITHIN, "P1", what, None)
    async with bench.open() as allocator:
        camera = await _waiting_camera(allocator)
        await trio.sleep(bench.terms.silence)
        unread(camera)
        what = "when estimates have stopped"
        await _insist_on_none(allocator, [camera], ESCAPE_WITHIN, "P1", what, None)


@_in_a_probe
async def media_and_padding_keep_to_one_line(probe: _Probe) -> None:
    """P2: however much media there is, and from the start."""
    seen = list(probe.first)
    for part in (0.35, 0.7):
        seen += await probe.watch(2, media=part * probe.rate)
    # A tick, a packet of either kind, and what a packet changes in the rate measured.
    slack = probe.rate * probe.tick + 4 * PACKET
    start = seen[0]
    due = probe.rate * (start.time - probe.begin)
    demand(start.size <= due + slack, "P2", f"it begins with {start.size} bytes, not {due:.0f}")
    sent = -start.size
    for one in seen:
        sent += one.size
        due = probe.rate * (one.time - start.time)
        what = f"{sent} bytes of media and padding left, and {due:.0f} ± {slack:.0f} were due"
        demand(abs(sent - due) <= slack, "P2", f"after {one.time - start.time:.2f} s {what}")


@_in_a_probe
async def what_is_behind_or_ahead_is_soon_forgotten(probe: _Probe) -> None:
    """P2: a stalled loop, padding that was not read, a burst of media."""
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
async def what_was_really_sent_corrects_the_books(probe: _Probe) -> None:
    """P2: less than was asked for, or more."""
    for share in (2 / 3, 1.5):
        await probe.insist_on_pace(
            "P2", f"with {share:.2f} times what was due sent", 2, share=share
        )


async def unread_padding_is_taken_back(bench: Bench) -> None:
    """P2: in the call that ends the probe."""
    for why in ("the claim was withdrawn", "there was enough"):
        async with bench.open() as allocator:
            camera = await _waiting_camera(allocator)
            await trio.sleep(0.5)
            if why == "there was enough":
                allocator.update_bandwidth_estimation(2 * HIGH)
            else:
                camera.request_allocation(MEDIUM)
            left = [message for message in unread(camera) if isinstance(message, SendPadding)]
            demand(not left, "P2", f"{left} could still be read when {why}")


@_in_a_probe
async def who_can_send_padding_sends_the_same(probe: _Probe) -> None:
    """P3: who leaves, or does not read, leaves its part to the others."""
    join = probe.allocator.register_track_receiver
    other, leaver = join(CAMERA), join(PLAIN)
    mute = [join(MICROPHONE), join(PLAIN, can_pad=False)]
    seen = await probe.watch(2, other, leaver, *mute)
    able = (probe.camera, other, leaver)
    amounts = [_size(one for one in seen if one.receiver is receiver) for receiver in able]
    demand(max(amounts) - min(amounts) <= PACKET, "P3", f"the shares are {amounts} bytes")
    mistaken = [one for one in seen if one.receiver in mute]
    demand(not mistaken, "P3", f"those who can not send padding were asked to: {mistaken}")
    leaver.close()
    await probe.insist_on_pace("P3", "after one of three had left", 1, other)
    await probe.insist_on_pace("P3", "with one of two not reading", 1)


@_in_a_probe
async def what_nobody_can_send_is_not_counted(probe: _Probe) -> None:
    """P3: it is not owed later."""
    probe.camera.set_options(can_pad=False)
    unread(probe.camera)
    demand(not await probe.watch(2), "P3", "who can not send padding was asked to")
    probe.camera.set_options(can_pad=True)
    await probe.insist_on_pace("P3", "after a time when nobody could send any", 2)


async def it_aims_no_higher_than_it_may(bench: Bench) -> None:
    """P4: at twice the estimate, or at 200 kbit/s."""
    for estimate in (50_000, ESTIMATE):
        async with bench.open() as allocator:
            video = allocator.register_track_receiver(PLAIN, estimate // 2, negotiable=True)
            video.request_allocation(1_000 * estimate)
            sent = _size(await _watch(allocator, [video], 1.0, estimate=estimate))
            most = max(2 * estimate, 200_000) / 8 * (1.0 + LONGEST_TICK) + PACKET
            demand(sent <= most, "P4", f"{sent} bytes left in a second under {estimate} bit/s")


async def what_moves_nothing_is_tried_more_and_more_seldom(bench: Bench) -> None:
    """P4: each attempt ends after the time of patience."""
    patience = bench.terms.probe_patience
    async with bench.open() as allocator:
        video = allocator.register_track_receiver(PLAIN, 50_000, negotiable=True)
        video.request_allocation(ESTIMATE)
        seen = await _watch(allocator, [video], 40 * patience, estimate=100_000)
    if not seen:
        return
    gaps = [(one.time, later.time) for one, later in pairwise(seen) if later.time - one.time > 0.5]
    begins, ends = [seen[0].time, *(end for _, end in gaps)], [*(a for a, _ in gaps), seen[-1].time]
    longest = max(end - begin for begin, end in zip(begins, ends, strict=True))
    what = f"a probe that moves nothing lasts {longest:.2f} s, with a patience of {patience} s"
    demand(longest <= 1.5 * patience + 1.0, "P4", what)
    pauses = [round(end - begin, 2) for begin, end in gaps]
    what = f"the pauses between probes that moved nothing are {pauses} s, in {40 * patience} s"
    growing = all(later > 0.9 * pause for pause, later in pairwise(pauses))
    demand(len(pauses) >= 2 and growing and pauses[-1] > 1.1 * pauses[0], "P4", what)


async def all_paused_there_is_a_way_out(bench: Bench) -> None:
    """P5: with an estimate of zero, one that falls, and one that is old."""
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
            demand(short, "P5", f"padding goes out during {busy:.1f} s {within}: no short episodes")


async def who_can_send_media_needs_no_way_out(bench: Bench) -> None:
    """P5: none while media flows, or one of those who wait holds something."""
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
                when = f"although {what}"
                await _insist_on_none(allocator, [paused, sender], 0.25, "P5", when, None)


CHECKS: dict[str, tuple[Check, ...]] = {
    "P1": (
        only_a_claim_that_waits_is_probed_for,
        overuse_and_a_fall_are_no_time_to_probe,
        padding_needs_a_live_estimate,
    ),
    "P2": (
        media_and_padding_keep_to_one_line,
        what_is_behind_or_ahead_is_soon_forgotten,
        what_was_really_sent_corrects_the_books,
        unread_padding_is_taken_back,
    ),
    "P3": (who_can_send_padding_sends_the_same, what_nobody_can_send_is_not_counted),
    "P4": (it_aims_no_higher_than_it_may, what_moves_nothing_is_tried_more_and_more_seldom),
    "P5": (all_paused_there_is_a_way_out, who_can_send_media_needs_no_way_out),
}
