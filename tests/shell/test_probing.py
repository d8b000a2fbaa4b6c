"""Padding follows its target to the packet, shares itself out, and knows when to stop."""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.shell.support import CAMERA, HIGH, LOW, MEDIUM, MICROPHONE, PLAIN, unread
from trio_allocator import ProbeStatus, SendPadding, open_allocator
from trio_allocator.engine.probing.padding import Padding

PACKET = 256
MEDIA = 1_200
REFERENCE = {"probe_increment": 200_000, "probe_patience": math.inf}
"""The settings by which it does what the reference does."""

ENDLESS = 10**12
"""A claim that nothing satisfies."""


@dataclass
class Books:
    """What really happened, kept beside the allocator's own books."""

    media: int = 0
    padding: dict[int, int] = field(default_factory=dict)
    owed: float = 0.0
    target: int = 0
    since: float = 0.0
    ticks: list[tuple[float, float]] = field(default_factory=list)

    def declare(self, now, target):
        """A target counts from now on, bit/s."""
        self.owed += (now - self.since) * self.target / 8
        self.since, self.target = now, target

    def missing(self, now):
        """Bytes that media and padding are behind the targets declared."""
        owed = self.owed + (now - self.since) * self.target / 8
        return owed - self.media - sum(self.padding.values())


@pytest.fixture
def on_tick(monkeypatch):
    """Call something after each round of padding, with the time and who got some."""
    watchers = []
    due = Padding.due

    def watched(self, now):
        grown = due(self, now)
        for watcher in watchers:
            watcher(now, grown)
        return grown

    monkeypatch.setattr(Padding, "due", watched)
    return watchers.append


async def send_padding(receiver, books):
    """An honest receiver: it sends what it is told to, at once, and says so."""
    books.padding.setdefault(receiver.id, 0)
    async for message in receiver:
        if isinstance(message, SendPadding):
            receiver.buffer_sent(message.size, padding=True)
            books.padding[receiver.id] += message.size


async def send_media(receivers, books, bitrate, interval=0.007):
    """Media of all receivers together, in whole packets."""
    start, sent = trio.current_time(), 0
    for turn in range(10**9):
        due = int((trio.current_time() - start) * bitrate / 8 / MEDIA) - sent
        for _ in range(due):
            receivers[sent % len(receivers)].buffer_sent(MEDIA)
            books.media += MEDIA
            sent += 1
        await trio.sleep_until(start + (turn + 1) * interval)


def join(allocator, count, bitrate):
    receivers = [
        allocator.register_track_receiver(PLAIN, bitrate // count, weight=index + 1)
        for index in range(count)
    ]
    for receiver in receivers:
        receiver.request_allocation(ENDLESS)
    return receivers


# --- P2, P3: to the packet -------------------------------------------------------------------


@pytest.mark.invariant("P2", "P3", "P1")
@pytest.mark.parametrize("growth", [1.0, 1.004])
@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("bitrate", [300_000, 3_000_000, 30_000_000])
async def test_media_and_padding_follow_the_target_to_a_packet_at_every_tick(
    bitrate, count, growth, on_tick, autojump_clock
):
    books = Books(since=trio.current_time())
    gaps, spreads = [], []
    async with open_allocator(**REFERENCE) as allocator, trio.open_nursery() as nursery:
        receivers = join(allocator, count, bitrate)

        def look(now, _grown):
            waiting = sum(receiver.account.unread for receiver in receivers)
            gaps.append(books.missing(now) - waiting)
            shares = [books.padding[r.id] + r.account.unread for r in receivers]
            spreads.append(max(shares) - min(shares))

        on_tick(look)
        for receiver in receivers:
            nursery.start_soon(send_padding, receiver, books)
        nursery.start_soon(send_media, receivers, books, bitrate * 0.7)
        await trio.testing.wait_all_tasks_blocked()
        estimate = float(bitrate)
        for _ in range(25):
            allocator.update_bandwidth_estimation(estimate)
            books.declare(trio.current_time(), int(estimate) + 200_000)
            assert allocator.status.probe_target == int(estimate) + 200_000
            await trio.sleep(0.2)
            estimate *= growth
        nursery.cancel_scope.cancel()
    assert len(gaps) >= 50
    assert min(gaps) >= -MEDIA
    assert max(gaps) < PACKET + 1e-3
    assert max(spreads) <= PACKET
    assert sum(books.padding.values()) > 0.2 * books.owed


@pytest.mark.invariant("P2")
@pytest.mark.defect(16)
@pytest.mark.parametrize("stall", [0.05, 0.5, 30])
async def test_a_stalled_loop_is_followed_by_no_burst(stall, on_tick, autojump_clock):
    amounts = []
    books = Books()
    options = {"initial_estimate": 3_000_000, "estimate_timeout": math.inf}
    async with open_allocator(**options, **REFERENCE) as allocator, trio.open_nursery() as nursery:
        receivers = join(allocator, 10, 3_000_000)
        on_tick(lambda _now, _grown: amounts.append(sum(r.account.unread for r in receivers)))
        for receiver in receivers:
            nursery.start_soon(send_padding, receiver, books)
        await trio.sleep(1)
        autojump_clock.jump(stall)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    per_tick = 3_200_000 / 8 * 0.01
    assert max(amounts) <= 2 * per_tick + PACKET
    assert sum(books.padding.values()) <= 3_200_000 / 8 * 2.02 + 2 * per_tick


@pytest.mark.invariant("P2")
@pytest.mark.defect(17)
async def test_a_burst_of_media_does_not_silence_the_probe(autojump_clock):
    books = Books()
    options = {"initial_estimate": 1_000_000, "estimate_timeout": math.inf}
    async with open_allocator(**options, **REFERENCE) as allocator, trio.open_nursery() as nursery:
        (receiver,) = join(allocator, 1, 1_000_000)
        nursery.start_soon(send_padding, receiver, books)
        await trio.sleep(1)
        for _ in range(625):
            receiver.buffer_sent(MEDIA)  # 6 Mbit at once
        before = books.padding[receiver.id]
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
    tick = max(0.01, 3_750 * 8 / 1_200_000)
    owed = 1_200_000 / 8
    sent = books.padding[receiver.id] - before
    assert owed * (0.5 - 3 * tick) <= sent <= owed * 0.5


@pytest.mark.invariant("P2", "P3")
async def test_a_full_mailbox_is_passed_over_and_the_target_is_kept(autojump_clock):
    books = Books(since=trio.current_time())
    options = {"initial_estimate": 3_000_000, "estimate_timeout": math.inf}
    async with open_allocator(**options, **REFERENCE) as allocator, trio.open_nursery() as nursery:
        reading, not_reading = join(allocator, 2, 3_000_000)
        books.declare(trio.current_time(), 3_200_000)
        nursery.start_soon(send_padding, reading, books)
        await trio.sleep(5.0001)
        assert not_reading.account.unread <= 2 * 3_200_000 / 8 * 0.01
        missing = books.missing(trio.current_time()) - not_reading.account.unread
        assert -1 <= missing <= PACKET + 3_200_000 / 8 * 0.01
        nursery.cancel_scope.cancel()


@pytest.mark.invariant("P2", "P3")
@pytest.mark.defect(21)
async def test_what_nobody_takes_is_not_owed(autojump_clock):
    options = {"initial_estimate": 3_000_000, "estimate_timeout": math.inf}
    async with open_allocator(**options, **REFERENCE) as allocator:
        (receiver,) = join(allocator, 1, 3_000_000)
        await trio.sleep(5)
        two_ticks = 2 * 3_200_000 / 8 * 0.01
        for _ in range(3):
            (message,) = unread(receiver)
            assert isinstance(message, SendPadding)
            assert message.size <= two_ticks + PACKET
            await trio.sleep(0.0101)


@pytest.mark.invariant("P2")
async def test_unread_padding_is_withdrawn_when_the_probe_ends(autojump_clock):
    options = {"initial_estimate": 3_000_000, "estimate_timeout": math.inf}
    async with open_allocator(**options, **REFERENCE) as allocator:
        (receiver,) = join(allocator, 1, 3_000_000)
        await trio.sleep(1)
        assert receiver.account.unread
        receiver.request_allocation(3_000_000)
        assert allocator.status.probe is ProbeStatus.IDLE
        assert not any(isinstance(message, SendPadding) for message in unread(receiver))


@pytest.mark.invariant("P2")
@pytest.mark.parametrize(("part", "extra"), [(0.5, 0), (0, 0), (1, 100), (1, 0)])
async def test_what_was_really_sent_corrects_the_booking(part, extra, on_tick, autojump_clock):
    books = Books(since=trio.current_time())
    gaps = []

    async def send_differently(receiver):
        books.padding[receiver.id] = 0
        async for message in receiver:
            size = int(message.size * part) + extra
            receiver.buffer_sent(size, padding=True)
            books.padding[receiver.id] += size

    options = {"initial_estimate": 1_000_000, "estimate_timeout": math.inf}
    async with open_allocator(**options, **REFERENCE) as allocator, trio.open_nursery() as nursery:
        (honest, other) = join(allocator, 2, 1_000_000)
        books.declare(trio.current_time(), 1_200_000)
        on_tick(lambda now, _grown: gaps.append(books.missing(now)))
        nursery.start_soon(send_padding, honest, books)
        nursery.start_soon(send_differently, other)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    per_tick = 3_750
    # What one tick books and is not sent is owed again at the next: behind, but without drift.
    assert max(gaps) <= 3 * per_tick + PACKET
    assert abs(gaps[-1] - gaps[len(gaps) // 2]) <= per_tick
    assert -extra - PACKET <= min(gaps)


@pytest.mark.invariant("P2", "P3")
async def test_padding_taken_and_not_sent_is_not_saved_up(autojump_clock):
    books = Books()
    options = {"initial_estimate": 1_000_000, "estimate_timeout": math.inf}
    async with open_allocator(**options, **REFERENCE) as allocator, trio.open_nursery() as nursery:
        receivers = join(allocator, 5, 1_000_000)
        for _ in range(1_000):
            await trio.sleep(0.03)
            for receiver in receivers:
                unread(receiver)
                receiver.buffer_sent(0, padding=True)
        for receiver in receivers:
            nursery.start_soon(send_padding, receiver, books)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert sum(books.padding.values()) <= 1_200_000 / 8 + 13 * 3_750


@pytest.mark.invariant("L2", "P3", "P2")
@pytest.mark.defect(2)
async def test_who_leaves_takes_no_padding_along(on_tick, autojump_clock):
    books = Books(since=trio.current_time())
    gaps = []
    options = {"initial_estimate": 1_000_000, "estimate_timeout": math.inf}
    async with open_allocator(**options, **REFERENCE) as allocator, trio.open_nursery() as nursery:
        receivers = join(allocator, 10, 1_000_000)
        staying = receivers[4]
        nursery.start_soon(send_padding, staying, books)
        for receiver in receivers:
            if receiver is not staying:
                nursery.start_soon(send_padding, receiver, books)
        books.declare(trio.current_time(), 1_200_000)
        await trio.sleep(1.0001)
        for receiver in receivers:
            if receiver is not staying:
                receiver.close()
        books.declare(trio.current_time(), allocator.status.probe_target)
        on_tick(lambda now, _grown: gaps.append(books.missing(now) - staying.account.unread))
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert len(gaps) > 50
    assert min(gaps) >= -1
    assert max(gaps) < PACKET + 1e-3


@pytest.mark.invariant("P2", "L2")
async def test_padding_read_but_not_sent_by_a_leaver_is_owed_again(on_tick, autojump_clock):
    gaps = []
    books = Books(since=trio.current_time())
    options = {"initial_estimate": 1_000_000, "estimate_timeout": math.inf}
    async with open_allocator(**options, **REFERENCE) as allocator, trio.open_nursery() as nursery:
        staying, leaver = join(allocator, 2, 1_000_000)
        nursery.start_soon(send_padding, staying, books)
        leaver.buffer_sent(0, padding=True)  # it is one that reports
        books.declare(trio.current_time(), 1_200_000)
        for _ in range(40):
            await trio.sleep(0.04)
            unread(leaver)
            leaver.close()
            leaver = allocator.register_track_receiver(PLAIN)
            leaver.buffer_sent(0, padding=True)
        leaver.close()
        on_tick(lambda now, _grown: gaps.append(books.missing(now) - staying.account.unread))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert max(gaps) < PACKET + 2 * 3_750


@pytest.mark.invariant("P3", "P2")
@pytest.mark.defect(21)
async def test_with_audio_alone_nothing_is_counted_and_nothing_bursts_later(autojump_clock):
    options = {"initial_estimate": 3_000_000, "estimate_timeout": math.inf}
    async with open_allocator(**options, **REFERENCE) as allocator:
        audio = allocator.register_track_receiver(MICROPHONE, 35_000)
        audio.request_allocation(ENDLESS)
        await trio.sleep(10)
        assert unread(audio) == []
        video = allocator.register_track_receiver(PLAIN)
        await trio.sleep(0.0101)
        (message,) = unread(video)
        assert message.size <= 2 * 3_200_000 / 8 * 0.01 + PACKET
        total = message.size
        for _ in range(20):
            await trio.sleep(0.01)
            total += sum(message.size for message in unread(video))
        assert total <= 3_200_000 / 8 * (0.2101 + 0.02) + PACKET
        video.set_options(can_pad=False)
        await trio.sleep(1)
        assert unread(video) == []
        video.set_options(can_pad=True)
        await trio.sleep(1)
        assert unread(video)


@pytest.mark.invariant("P3")
@pytest.mark.defect(8)
async def test_a_track_registered_twice_and_both_ended_leaves_no_share_behind(autojump_clock):
    books = Books()
    options = {"initial_estimate": 1_000_000, "estimate_timeout": math.inf}
    async with open_allocator(**options, **REFERENCE) as allocator, trio.open_nursery() as nursery:
        first, other = join(allocator, 2, 1_000_000)
        second = allocator.register_track_receiver(first.track)
        for receiver in (first, other, second):
            nursery.start_soon(send_padding, receiver, books)
        await trio.sleep(5)
        shares = books.padding.values()
        assert max(shares) - min(shares) <= PACKET
        first.close()
        second.close()
        before = books.padding[other.id]
        await trio.sleep(5)
        assert books.padding[other.id] - before == pytest.approx(1_200_000 / 8 * 5, rel=0.01)
        nursery.cancel_scope.cancel()


# --- P1: a reason ----------------------------------------------------------------------------


@pytest.fixture
async def allocator(autojump_clock):
    async with open_allocator(initial_estimate=MEDIUM, estimate_timeout=math.inf) as allocator:
        yield allocator


@pytest.fixture
def receiver(allocator):
    """A camera that holds its medium variant, and waits for the high one."""
    receiver = allocator.register_track_receiver(CAMERA, MEDIUM)
    receiver.request_allocation(HIGH)
    return receiver


def padding(receiver):
    return [message for message in unread(receiver) if isinstance(message, SendPadding)]


@pytest.mark.invariant("P1")
async def test_nobody_waits_nothing_is_sent(allocator, autojump_clock):
    receiver = allocator.register_track_receiver(CAMERA, MEDIUM)
    await trio.sleep(10)
    assert (unread(receiver), allocator.status.probe) == ([], ProbeStatus.IDLE)


@pytest.mark.invariant("P1")
async def test_no_padding_in_overuse(allocator, receiver, autojump_clock):
    allocator.register_track_receiver(MICROPHONE, 1)
    await trio.sleep(1)
    assert (padding(receiver), allocator.status.probe) == ([], ProbeStatus.IDLE)


@pytest.mark.invariant("P1")
async def test_no_padding_while_the_estimate_falls(autojump_clock):
    async with open_allocator(initial_estimate=1_000_000, **REFERENCE) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, MEDIUM)
        receiver.request_allocation(HIGH)
        allocator.update_bandwidth_estimation(980_000)  # noise
        await trio.sleep(0.1)
        assert padding(receiver)
        allocator.update_bandwidth_estimation(940_000)
        assert (padding(receiver), allocator.status.probe) == ([], ProbeStatus.IDLE)
        for _ in range(9):
            await trio.sleep(0.2)
            allocator.update_bandwidth_estimation(940_000)
            assert padding(receiver) == []
        await trio.sleep(0.3)
        assert allocator.status.probe is ProbeStatus.PROBING
        await trio.sleep(0.2)
        assert padding(receiver)


@pytest.mark.invariant("P1", "A6")
@pytest.mark.defect(19)
async def test_no_padding_without_a_live_estimate(autojump_clock):
    async with open_allocator(initial_estimate=MEDIUM, **REFERENCE) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, MEDIUM)
        receiver.request_allocation(HIGH)
        await trio.sleep(1.9)
        assert padding(receiver)
        await trio.sleep(0.2)
        for _ in range(10):
            assert padding(receiver) == []
            await trio.sleep(5)


# --- P4: how far, and when to give up --------------------------------------------------------


@pytest.mark.invariant("P4")
async def test_it_aims_at_the_next_useful_step(autojump_clock):
    async with open_allocator(initial_estimate=MEDIUM - 5_000, probe_reach=2.0) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, LOW)
        receiver.request_allocation(HIGH)
        assert allocator.status.probe_target == MEDIUM
        allocator.update_bandwidth_estimation(MEDIUM)
        assert receiver.allocation == MEDIUM
        assert allocator.status.probe_target == 0  # the raise has to prove itself
        await trio.sleep(1.9)
        allocator.update_bandwidth_estimation(MEDIUM)
        assert allocator.status.probe_target == 0
        await trio.sleep(0.11)
        assert allocator.status.probe_target == 2 * MEDIUM  # the next is more than twice as far


@pytest.mark.invariant("P4")
@given(
    st.sampled_from([None, 200_000, 10**9]),
    st.lists(st.integers(0, 5_000_000), min_size=1, max_size=10),
)
@settings(max_examples=30)
def test_it_never_aims_above_twice_the_estimate(increment, estimates):
    async def main():
        async with open_allocator(probe_increment=increment) as allocator:
            for estimate in sorted(estimates):
                allocator.update_bandwidth_estimation(estimate)
                allocator.register_track_receiver(PLAIN).request_allocation(10**9)
                assert allocator.status.probe is ProbeStatus.PROBING
                assert 0 < allocator.status.probe_target <= max(2 * estimate, 200_000)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def statuses(allocator, seconds, estimate):
    """The times at which the prober's status changes."""
    start = trio.current_time()
    changes = []
    for turn in range(int(seconds * 20)):
        if turn % 20 == 0:
            allocator.update_bandwidth_estimation(estimate)
        status = allocator.status.probe
        if not changes or changes[-1][1] is not status:
            changes.append((trio.current_time() - start, status))
        await trio.sleep_until(start + (turn + 1) / 20)
    return changes


@pytest.mark.invariant("P4")
@pytest.mark.defect(19)
async def test_a_fruitless_probe_is_retried_with_growing_pauses(autojump_clock):
    async with open_allocator(initial_estimate=MEDIUM, probe_pause_limit=8) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, MEDIUM)
        receiver.request_allocation(HIGH)
        changes = await statuses(allocator, 50, MEDIUM)
        assert {status for _, status in changes} == {ProbeStatus.PROBING, ProbeStatus.RESTING}
        times = [when for when, _ in changes]
        lasted = [after - before for before, after in pairwise(times)]
        assert lasted[::2] == pytest.approx([3] * len(lasted[::2]), abs=0.06)
        assert lasted[1::2][:4] == pytest.approx([3, 4.5, 6.75, 8], abs=0.06)
        assert allocator.status.probes_fruitless == 6
        # A swing is no success; what brings it nearer to the step is: it goes on at once.
        allocator.update_bandwidth_estimation(1.02 * MEDIUM)
        assert allocator.status.probe is ProbeStatus.RESTING
        allocator.update_bandwidth_estimation(1.05 * MEDIUM)
        assert allocator.status.probe is ProbeStatus.PROBING


@pytest.mark.invariant("P4")
async def test_while_the_estimate_rises_it_goes_on(autojump_clock):
    async with open_allocator(initial_estimate=MEDIUM) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, MEDIUM)
        receiver.request_allocation(HIGH)
        for turn in range(20):
            allocator.update_bandwidth_estimation(MEDIUM * 1.02**turn)
            await trio.sleep(1)
            assert allocator.status.probe is ProbeStatus.PROBING


class Steps(trio.abc.Instrument):
    """Counts the steps of tasks by the name of their function."""

    def __init__(self):
        self.count = {}

    def before_task_step(self, task):
        name = task.name.rpartition(".")[2]
        self.count[name] = self.count.get(name, 0) + 1


@pytest.mark.invariant("P4")
@pytest.mark.parametrize(
    ("claim", "bitrate", "most"),
    [(MEDIUM, MEDIUM, 0), (HIGH, 60_000, 12), (HIGH, MEDIUM, 41), (10**9, 30_000_000, 101)],
)
async def test_the_task_sleeps_until_a_packet_is_due(claim, bitrate, most, autojump_clock):
    steps = Steps()
    options = {"initial_estimate": bitrate, "estimate_timeout": math.inf, **REFERENCE}
    async with open_allocator(**options) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, min(bitrate, MEDIUM))
        receiver.request_allocation(claim)
        await trio.testing.wait_all_tasks_blocked()
        trio.lowlevel.add_instrument(steps)
        for _ in range(100):
            await trio.sleep(0.1)
            unread(receiver)
        trio.lowlevel.remove_instrument(steps)
    assert steps.count.get("_probe", 0) <= most * 10
    assert steps.count.get("_watch_time", 0) <= 2


@pytest.mark.invariant("P4")
async def test_a_prober_at_rest_sets_no_alarm(autojump_clock):
    options = {"initial_estimate": MEDIUM, "estimate_timeout": math.inf}
    async with open_allocator(**options) as allocator:
        allocator.register_track_receiver(CAMERA, MEDIUM)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().seconds_to_next_deadline == math.inf


# --- P5: the way out -------------------------------------------------------------------------


async def padding_per_second(receiver, seconds):
    amounts = []
    for _ in range(seconds):
        amount = 0
        for _ in range(100):
            await trio.sleep(0.01)
            amount += sum(message.size for message in padding(receiver))
        amounts.append(amount)
    return amounts


@pytest.mark.invariant("P5")
@pytest.mark.parametrize("estimates", ["stopped", "zero", "falling"])
async def test_all_paused_and_no_way_up_padding_goes_out_in_short_episodes(
    estimates, autojump_clock
):
    async with open_allocator(initial_estimate=0) as allocator:
        receiver = allocator.register_track_receiver(CAMERA)
        receiver.request_allocation(MEDIUM)
        assert receiver.allocation == 0

        async def estimate():
            for turn in range(10**9):
                if estimates == "zero":
                    allocator.update_bandwidth_estimation(0)
                elif estimates == "falling":
                    allocator.update_bandwidth_estimation(100_000 * 0.9**turn)
                await trio.sleep(0.5)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(estimate)
            amounts = await padding_per_second(receiver, 60)
            nursery.cancel_scope.cancel()
        episode = 200_000 / 8 * 0.5
        assert receiver.allocation == 0
        # From every stretch of 10 s some padding comes, and never more than the floor's rate.
        for start in range(0, 60, 10):
            assert sum(amounts[start : start + 10]) >= 2 * episode - 4 * PACKET
        assert max(amounts) <= 200_000 / 8 + PACKET
        if estimates == "stopped":
            assert sum(amounts[10:]) <= 21 * episode


@pytest.mark.invariant("P5", "A6")
async def test_no_way_out_is_sought_before_a_first_estimate(autojump_clock):
    async with open_allocator() as allocator:
        receiver = allocator.register_track_receiver(CAMERA)
        receiver.request_allocation(HIGH)
        assert await padding_per_second(receiver, 20) == [0] * 20


@pytest.mark.invariant("P5")
@pytest.mark.parametrize("why", ["media flows", "somebody holds something", "nobody waits"])
async def test_no_way_out_is_sought_while_there_is_no_need(why, autojump_clock):
    async with open_allocator(initial_estimate=LOW) as allocator:
        receiver = allocator.register_track_receiver(CAMERA, 0, pausable=True)
        sender = allocator.register_track_receiver(CAMERA, LOW)
        if why == "somebody holds something":
            sender.request_allocation(HIGH)
        if why != "nobody waits":
            receiver.request_allocation(HIGH)
        await allocator.estimate.wait_value(None)

        async def media():
            while why == "media flows":
                sender.buffer_sent(MEDIA)
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(media)
            unread(receiver)
            assert await padding_per_second(receiver, 20) == [0] * 20
            nursery.cancel_scope.cancel()
