"""The link of the kit, and the bottleneck below it: exact, and as a model that moves bit by bit."""

import math
from fractions import Fraction

import pytest
import trio
import trio.testing
from hypothesis import assume, given, strategies as st

from trio_allocator.messages import SendPadding
from trio_allocator.testing import Bottleneck, ClockSteps, LostFeedback, MemoryLink

# --- against a slow model --------------------------------------------------------------------------

UNIT = Fraction(1, 1024)
"""The model's step of time, s: as a float, it is exact."""


def model(steps, queue_size, packets):
    """When each packet is through (None: dropped), found by letting time pass in small steps."""
    rates = dict(steps)
    ends: list[Fraction | None] = [None] * len(packets)
    queue = []
    rate, now, index = 0, Fraction(0), 0
    while index < len(packets) or queue:
        rate = rates.get(now, rate)
        while index < len(packets) and packets[index][0] == now:
            size = packets[index][1]
            # An empty link takes any packet.
            if not queue or sum(entry[2] for entry in queue) + size <= queue_size:
                queue.append([index, Fraction(8 * size), size])
            index += 1
        budget = rate * UNIT
        now += UNIT
        while queue and queue[0][1] <= budget:
            packet, left, _size = queue.pop(0)
            budget -= left
            ends[packet] = now - budget / rate if rate else now
        if queue:
            queue[0][1] -= budget
    return ends


TIMES = st.integers(0, 60).map(lambda number: number * UNIT)
SIZES = st.integers(1, 40).map(lambda number: number * 25)


@given(
    rates=st.dictionaries(TIMES, st.integers(0, 8).map(lambda n: n * 100_000), max_size=4),
    first=st.integers(0, 8).map(lambda n: n * 100_000),
    last=st.integers(1, 8).map(lambda n: n * 100_000),
    queue_size=st.integers(0, 3000),
    packets=st.lists(st.tuples(TIMES, SIZES), max_size=20),
)
def test_packets_arrive_as_in_a_model(rates, first, last, queue_size, packets):
    steps = sorted({**rates, Fraction(0): first, 61 * UNIT: last}.items())
    packets.sort(key=lambda packet: packet[0])
    link = Bottleneck(steps, queue_size=queue_size, delay=0.25)
    queued = [link.send(at, number, size) for number, (at, size) in enumerate(packets)]
    expected = model(steps, queue_size, packets)
    assert queued == [end is not None for end in expected]
    arrived = {}
    while (delivery := link.take(math.inf if link.next_arrival < math.inf else 0.0)) is not None:
        assert delivery.order == delivery.payload
        assert (delivery.sent_at, delivery.size) == packets[delivery.order]
        arrived[delivery.order] = delivery.arrives_at
    assert arrived == pytest.approx(
        {number: float(end) + 0.25 for number, end in enumerate(expected) if end is not None},
        abs=1e-12,
    )


@given(
    packets=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2000)), max_size=30),
    rates=st.lists(st.tuples(st.floats(0.001, 1), st.integers(0, 10**7)), max_size=5),
    first=st.integers(0, 10**7),
    queue_size=st.integers(0, 10_000),
    loss=st.sampled_from([0.0, 0.3, 1.0]),
    now=st.floats(0, 1),
)
def test_every_packet_and_every_byte_is_somewhere(packets, rates, first, queue_size, loss, now):
    times = [time for time, _rate in rates]
    assume(len(set(times)) == len(times))
    link = Bottleneck([(0, first), *sorted(rates)], queue_size=queue_size, loss=loss)
    packets = sorted(packet for packet in packets if packet[0] <= now)
    for at, size in packets:
        link.send(at, None, size)
    arrived = []
    while (delivery := link.take(now)) is not None:
        arrived.append(delivery)
    under_way = []
    while link.next_arrival < math.inf:
        under_way.append(link.take(math.inf))
    after = link.statistics(now)
    assert after.sent == len(packets)
    assert after.bytes_sent == sum(size for _at, size in packets)
    assert after.delivered == len(arrived) + len(under_way)
    assert after.bytes_delivered == sum(entry.size for entry in arrived + under_way)
    assert after.delivered + after.dropped + after.lost <= after.sent
    assert after.queue_bytes <= max([queue_size, *(size for _at, size in packets)])
    assert (after.queue_delay > 0) >= (after.queue_bytes > 0)
    order = [entry.order for entry in arrived + under_way]
    assert order == sorted(order)


# --- exact -----------------------------------------------------------------------------------------


def test_a_million_bits_do_not_drift_across_steps():
    """A rate that changes every tenth of a second, as if it had not."""
    steps = [(number / 10, 300_000 if number % 2 else 100_000) for number in range(1000)]
    link = Bottleneck(steps, queue_size=10**9)
    for _ in range(10_000):
        link.send(0.0, None, 125)
    while link.next_arrival < math.inf:
        last = link.take(math.inf)
    # 10 Mbit at 200 kbit/s on average; the times of the steps are floats.
    assert last.arrives_at == pytest.approx(50, abs=1e-12)


def test_nothing_moves_at_a_capacity_of_zero():
    link = Bottleneck([(0, 0), (5, 8000)])
    assert link.send(1.0, "one", 500)
    assert link.next_arrival == 5.5
    assert link.statistics(5.0).queue_delay == 0.5
    assert (link.capacity(4.9), link.capacity(5.0)) == (0, 8000)
    ever = Bottleneck([(0, 8000), (1, 0)])
    ever.send(0.0, "first", 500)
    ever.send(0.75, "last", 500)
    assert ever.take(math.inf).arrives_at == 0.5
    assert ever.next_arrival == math.inf
    assert ever.statistics(100.0).queue_bytes == 500
    assert ever.statistics(100.0).queue_delay == math.inf


def test_what_gets_lost_depends_on_the_seed_alone():
    def arrived(seed):
        link = Bottleneck(10**9, loss=0.5, seed=seed)
        for number in range(100):
            link.send(float(number), number, 100)
        got = []
        while link.next_arrival < math.inf:
            got.append(link.take(math.inf).order)
        assert link.statistics(100.0).lost == 100 - len(got)
        return got

    assert arrived(1) == arrived(1)
    assert arrived(1) != arrived(2)
    assert 30 < len(arrived(1)) < 70


@pytest.mark.parametrize(
    "arguments",
    [
        {"capacity": -1},
        {"capacity": []},
        {"capacity": [(1, 100)]},
        {"capacity": [(0, 100), (2, 100), (1, 100)]},
        {"capacity": [(0, 100), (1, 100), (1, 200)]},
        {"capacity": [(0, 100), (math.inf, 100)]},
        {"capacity": [(0, True)]},
        {"capacity": "fast"},
        {"capacity": 1, "queue_size": -1},
        {"capacity": 1, "delay": -0.1},
        {"capacity": 1, "delay": math.nan},
        {"capacity": 1, "delay": False},
        {"capacity": 1, "loss": 1.1},
        {"capacity": 1, "loss": "some"},
    ],
)
def test_nonsense_is_refused(arguments):
    with pytest.raises((TypeError, ValueError)):
        Bottleneck(**arguments)


# --- in Trio ---------------------------------------------------------------------------------------


async def test_packets_are_received_when_they_arrive(autojump_clock):
    start = trio.current_time()
    link = MemoryLink[bytes](8000, delay=0.25)
    assert link.capacity == 8000
    assert link.send_nowait(b"x" * 500)
    assert link.send_nowait(memoryview(b"y" * 250))
    with pytest.raises(trio.WouldBlock):
        link.receive_nowait()
    assert link.statistics().queue_bytes == 750
    assert link.statistics().queue_delay == 0.75
    first = await link.receive()
    assert trio.current_time() - start == pytest.approx(0.75)
    assert (first.payload, first.size, first.order) == (b"x" * 500, 500, 0)
    await link.receive()
    assert trio.current_time() - start == pytest.approx(1.0)
    assert link.statistics().delivered == 2


async def test_whoever_waits_gets_what_is_sent_later(autojump_clock):
    link = MemoryLink[SendPadding](8000)
    got = []

    async def read():
        got.append((await link.receive()).payload.receiver_id)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        nursery.start_soon(read)
        await trio.sleep(1)
        link.send_nowait(SendPadding(1000, 1))
        link.send_nowait(SendPadding(1000, 2))
        await trio.sleep(1.5)
        assert got == [1]
    assert got == [1, 2]


async def test_a_cancelled_receiver_takes_nothing(autojump_clock):
    link = MemoryLink[bytes](8000)
    link.send_nowait(b"x" * 1000)
    with trio.move_on_after(0.5):
        await link.receive()
    with trio.CancelScope() as scope:
        scope.cancel()
        await link.receive()
    assert (await link.receive()).size == 1000


async def test_what_is_under_way_still_arrives_when_the_sender_ends(autojump_clock):
    link = MemoryLink[object](8000)
    link.send_nowait(object(), 1000)
    link.end()
    with pytest.raises(trio.ClosedResourceError):
        link.send_nowait(object(), 1000)
    assert [delivery.size async for delivery in link] == [1000]
    with pytest.raises(trio.EndOfChannel):
        link.receive_nowait()


async def test_closing_ends_both_sides_and_whoever_waits(autojump_clock):
    link = MemoryLink[bytes](8000)
    link.send_nowait(b"gone")

    async def read():
        with pytest.raises(trio.ClosedResourceError):
            while True:
                await link.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(1)
        with trio.testing.assert_checkpoints():
            await link.aclose()
    link.close()
    with pytest.raises(trio.ClosedResourceError):
        link.send_nowait(b"more")


async def test_a_packet_must_have_a_size(autojump_clock):
    link = MemoryLink[object](8000)
    with pytest.raises(TypeError, match="has no size"):
        link.send_nowait(object())
    with pytest.raises(ValueError, match="size"):
        link.send_nowait(object(), -1)
    assert link.statistics().sent == 0


async def test_to_receive_is_a_checkpoint(autojump_clock):
    link = MemoryLink[bytes](8000)
    link.send_nowait(b"")
    with trio.testing.assert_checkpoints():
        await link.receive()


async def test_it_is_turned_and_impaired_while_somebody_waits(autojump_clock):
    start = trio.current_time()
    link = MemoryLink[bytes](
        8000,
        delay=0.25,
        report_delay=0.1,
        impairments=[LostFeedback(share=0.5), ClockSteps(at=((1.0, 5.0),))],
        seed=3,
    )
    link.send_nowait(b"x" * 1000)

    async def turn():
        await trio.sleep(0.5)
        link.set_capacity(16_000)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn)
        delivery = await link.receive()
    # Half of it took 0.5 s, and the other half 0.25 s.
    assert delivery.arrives_at - start == pytest.approx(1.0)
    assert trio.current_time() - start == pytest.approx(1.0)
    reports = [link.report_arrives() for _ in range(100)]
    arrived = [at for at in reports if at is not None]
    assert 30 < len(arrived) < 70
    assert arrived[0] - trio.current_time() == pytest.approx(0.1)
    assert link.far_clock(start + 2.0) == pytest.approx(start + 7.0)
