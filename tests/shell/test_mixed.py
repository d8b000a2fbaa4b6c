"""All kinds of tracks in one connection, under every policy, while capacity falls and rises."""

from itertools import accumulate

import pytest
import trio
import trio.testing

from tests.shell.support import CAMERA, LADDER
from trio_allocator import DecreaseAllocation, ReceiverHandle, Track, TrackReceiver, open_allocator

LAYERS = {"S0": 100_000, "S1": 250_000, "S2": 900_000}
"""What each SVC layer adds."""
SVC = Track("scalable", variants=dict(zip(LAYERS, accumulate(LAYERS.values()), strict=True)))
SCREEN = Track("screen", kind="screen", variants={"slow": 200_000, "smooth": 1_500_000})
AUDIO = 40_000
PLAIN, PART = 300_000, 1_000_000
ALL = AUDIO + 2 * LADDER["high"] + 1_250_000 + 1_500_000 + PLAIN + PART
SCHEDULE = [ALL, 6_000_000, 3_000_000, 1_200_000, 700_000, 250_000, 700_000, 2_000_000, 5_000_000]
PLATEAU = 24  # estimates, half a second apart: longer than any hold of an estimate that stays


class Sender:
    """Sends by a `TrackReceiver`; key frames come at once."""

    def __init__(self, allocator, track, **options) -> None:
        self.receiver = TrackReceiver(allocator, track, request_variant=self.switch, **options)

    def switch(self, variant, _reason) -> None:
        self.receiver.variant_switched(variant)

    def check(self) -> None:
        """It sends the best that it is allowed to, and nothing that it is not."""
        variant = self.receiver.current_variant
        rates = self.receiver.track.variants
        held = self.receiver.handle.allocation
        fitting = [name for name, rate in rates.items() if rate <= held]
        assert variant == (fitting[-1] if fitting else None)


async def honest(receiver: ReceiverHandle, wants: int) -> None:
    """Give what is asked for, and claim it again."""
    receiver.request_allocation(wants)
    async for message in receiver:
        if isinstance(message, DecreaseAllocation):
            receiver.accept_decrease(message, message.limit)
            receiver.request_allocation(wants)


class Connection:
    """One of each kind."""

    def __init__(self, allocator) -> None:
        self.allocator = allocator
        register = allocator.register_track_receiver
        self.audio = register(Track("voice", kind="audio"), AUDIO)
        self.plain = register(Track("plain"), negotiable=True)
        self.part = register(Track("part"), negotiable=True, elastic=True, min_bitrate=50_000)
        self.senders = [
            Sender(allocator, CAMERA),
            Sender(allocator, CAMERA, pausable=True),
            Sender(allocator, SVC, pausable=True),
            Sender(allocator, SCREEN, priority=1),
        ]

    async def start(self, nursery) -> None:
        nursery.start_soon(honest, self.plain, PLAIN)
        nursery.start_soon(honest, self.part, PART)
        for sender in self.senders:
            await nursery.start(sender.receiver.run)
        await trio.testing.wait_all_tasks_blocked()

    @property
    def screen(self):
        return self.senders[3].receiver.handle

    @property
    def others(self) -> list[tuple[ReceiverHandle, int]]:
        """Who is of the lower class and may be asked, and the minimum of each."""
        cameras = [sender.receiver.handle for sender in self.senders[:3]]
        lowest = [150_000, 150_000, 100_000]
        return [(self.plain, 0), (self.part, 50_000), *zip(cameras, lowest, strict=True)]

    def check(self) -> None:
        """What holds once everybody has had its turn."""
        status = self.allocator.status
        declared = {allowance.name: allowance.bitrate for allowance in status.allowances}
        assert status.committed - sum(declared.values()) <= status.usable
        assert "decrease under way" not in declared
        assert (status.asked, status.forced, status.breaches) == (0, 0, 0)
        assert status.policy_fault is None
        assert self.audio.allocation == AUDIO
        if declared:  # what is too much nobody has to give
            assert self.screen.allocation == 200_000
            assert all(handle.allocation <= least for handle, least in self.others)
        for sender in self.senders:
            sender.check()

    def check_order(self) -> None:
        """What holds once nothing is kept back any more."""
        status = self.allocator.status
        assert not status.holds
        assert status.ceiling is None
        lacks = 1_500_000 - self.screen.allocation
        above = sum(max(0, handle.allocation - least) for handle, least in self.others)
        assert not lacks or lacks > status.free + above, "a lower class keeps what is waited for"
        if above > 0:
            assert all(
                handle.allocation >= least or handle.id in status.bars
                for handle, least in self.others
            ), "somebody has more than its minimum, and somebody less"


@pytest.mark.invariant("A2", "G6", "G8", "N8")
@pytest.mark.parametrize("lever", ["estimate", "cap", "reserve"])
@pytest.mark.parametrize("policy", ["layered", "water-filling", "fair"])
async def test_all_kinds_mix(policy, lever, autojump_clock):
    async with (
        open_allocator(initial_estimate=ALL, policy=policy) as allocator,
        trio.open_nursery() as nursery,
    ):
        connection = Connection(allocator)
        await connection.start(nursery)
        for capacity in [*SCHEDULE, ALL, ALL]:
            match lever:
                case "estimate":
                    estimate = capacity
                case "cap":
                    estimate = ALL
                    allocator.set_limits(max_bitrate=capacity)
                case "reserve":
                    estimate = ALL
                    allocator.set_limits(reserve=ALL - capacity)
            for _ in range(PLATEAU):
                now = trio.current_time()
                allocator.update_bandwidth_estimation(estimate)
                await trio.testing.wait_all_tasks_blocked()
                assert trio.current_time() == now
                assert allocator.status.usable == capacity
                connection.check()
                await trio.sleep(0.5)
            while allocator.status.ceiling is not None:
                await trio.sleep(0.5)
                allocator.update_bandwidth_estimation(estimate)
            connection.check_order()
        held = [sender.receiver.handle.allocation for sender in connection.senders]
        assert held == [LADDER["high"], LADDER["high"], 1_250_000, 1_500_000]
        assert (connection.plain.allocation, connection.part.allocation) == (PLAIN, PART)
        assert allocator.status.committed == ALL
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("policy", ["layered", "water-filling", "fair"])
async def test_svc_layers_are_declared_and_granted_with_all_below_them(policy):
    assert SVC.variants == {"S0": 100_000, "S1": 350_000, "S2": 1_250_000}
    async with open_allocator(initial_estimate=0, policy=policy, estimates="ideal") as allocator:
        receiver = allocator.register_track_receiver(SVC, bare_steps=True)
        receiver.request_allocation(SVC.variants["S2"])
        granted = []
        for estimate in (99_999, 100_000, 349_999, 350_000, 1_249_999, 1_250_000):
            allocator.update_bandwidth_estimation(estimate)
            granted.append(receiver.allocation)
        assert granted == [0, 100_000, 100_000, 350_000, 350_000, 1_250_000]
