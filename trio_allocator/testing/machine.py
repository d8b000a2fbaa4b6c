"""A state machine that does to an allocator whatever may happen to one, in any order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

import trio
import trio.testing
from hypothesis import HealthCheck, Phase, assume, settings, strategies as st
from hypothesis.stateful import Bundle, MultipleResults, consumes, multiple, precondition

from ..interface import ConnectionAllocator
from ..messages import SetOptions, SetVariants
from ..tracks import Track
from .bench import Terms
from .manners import HONEST, Behaviour, Manner
from .observer import Observer
from .state_machine import TrioStateMachine, initialize, rule
from .violation import INVARIANTS, check_ids

RATES = st.sampled_from([0, 1, 50, 110, 165, 330, 550, 880, 1100, 2750]) | st.integers(0, 3000)
"""bit/s. Small numbers read better; no rate is special (G7)."""
LADDERS = st.sampled_from(
    [(), (), (100,), (100, 500), (150, 500, 2500), (150, 500, 2500), (100, 300, 500, 800), (7, 13)]
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "negotiable": st.booleans(),
        "priority": st.sampled_from([0, 0, 1, 255, (1, 0), (255, 1, 0)]),
        "weight": st.sampled_from([1.0, 0.5, 3.0]),
        "min_bitrate": st.sampled_from([0, 60, 165, 200]),
        "max_bitrate": st.sampled_from([None, 200, 550, 1000]),
        "pausable": st.booleans(),
        "can_pad": st.booleans(),
        "elastic": st.booleans(),
    },
).filter(lambda options: not (options.get("pausable") and options.get("negotiable") is False))
SECONDS = st.sampled_from([0.0, 1e-6, 0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 11.0, 600.0])
NONSENSE = st.sampled_from([-1, float("nan"), float("inf"), 1e300, True, "1", None])
MOST_RECEIVERS = 40

QUICK = settings(
    max_examples=100,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
"""Settings of Hypothesis for a first look: it stops at the first failure and shows it as it came.
To simplify it takes minutes, and most of what a first look finds is plain as it is."""


class AllocatorMachine(TrioStateMachine):
    """Tries an allocator with everything that receivers, estimates and time can do.

    Subclass it, and say how an allocator is opened::

        class MyMachine(AllocatorMachine):
            def open_allocator(self):
                return open_my_allocator()

        TestMine = MyMachine.TestCase                       # for pytest and unittest
        run_state_machine_as_test(MyMachine, settings=QUICK)    # without either: a first look

    Its receivers are of all the kinds of `Manner`. Rules of your own may be added; they find the
    allocator in `allocator` and should make their calls by `Observer.call`.

    Attributes:
        terms: The times that the allocator states.
        except_for: Ids of the invariants that it does not claim.
        allocator: What is tried.
        observer: Judges every call and message.
        alive: The receivers there are.
        rested: The rule `rest` has been carried out.
    """

    rule_seconds: ClassVar[float] = 3600.0
    rule_passes: ClassVar[int] = 50_000
    terms: ClassVar[Terms] = Terms()
    except_for: ClassVar[frozenset[str]] = frozenset()

    receivers: Bundle[Behaviour] = Bundle("receivers")

    def __init__(self) -> None:
        super().__init__()
        check_ids("except_for", self.except_for, INVARIANTS)
        self.alive: list[Behaviour] = []
        self.rested: bool = False
        self.allocator: ConnectionAllocator
        self.observer: Observer

    def open_allocator(self) -> AbstractAsyncContextManager[ConnectionAllocator]:
        """Open what is to be tried. Override it."""
        raise NotImplementedError(f"{type(self).__name__} must say how its allocator is opened")

    @initialize()
    async def open(self) -> None:
        """The allocator is opened; nothing is known yet."""
        self.allocator = await self.enter(self.open_allocator())
        self.observer = Observer(self.allocator, self.terms, self.except_for)

    # --- receivers come and go ---------------------------------------------------------------

    @rule(
        target=receivers,
        rates=LADDERS,
        bandwidth=RATES,
        manner=st.sampled_from(Manner),
        kind=st.sampled_from(["video", "audio"]),
        options=OPTIONS,
        count=st.sampled_from([1, 1, 1, 2, 3, 10]),
    )
    async def register(  # noqa: PLR0917 - Hypothesis passes them by name
        self, rates: Any, bandwidth: int, manner: Manner, kind: Any, options: Any, count: int
    ) -> MultipleResults[Behaviour]:
        """Some receivers of a kind join."""
        cap = options.get("max_bitrate")
        assume(cap is None or cap >= options.get("min_bitrate", 0))
        bandwidth = bandwidth if cap is None else min(bandwidth, cap)
        joined: list[Behaviour] = []
        for _ in range(min(count, MOST_RECEIVERS - len(self.alive))):
            track = Track("track", kind=kind, variants={f"v{rate}": rate for rate in rates})
            observer = self.observer
            register = self.allocator.register_track_receiver
            handle = observer.call(None, register, track, bandwidth, **options)
            member = observer.join(handle, bandwidth, honest=manner in HONEST)
            behaviour = Behaviour(observer, member, manner, self.terms)
            self.alive.append(behaviour)
            joined.append(behaviour)
            self.nursery.start_soon(behaviour.run)
        await self.settle()
        return multiple(*joined)

    @rule(behaviour=consumes(receivers))
    async def leave(self, behaviour: Behaviour) -> None:
        """A receiver ends its registration."""
        self.observer.leave(behaviour.member)
        await self.settle()

    @rule(behaviour=consumes(receivers), passes=st.integers(0, 5))
    async def cancel(self, behaviour: Behaviour, passes: int) -> None:
        """The task of a receiver is cancelled after some passes of the scheduler."""
        half = self.observer.total // 2
        self.observer.call(None, self.allocator.update_bandwidth_estimation, half)
        for _ in range(passes):
            await trio.lowlevel.checkpoint()
        behaviour.scope.cancel()
        await self.settle()

    # --- calls -------------------------------------------------------------------------------

    @rule(estimate=RATES | st.integers(0, 12_000))
    async def update_estimate(self, estimate: int) -> None:
        """An estimate comes, and once more: that changes nothing (G3)."""
        await self.estimate(estimate)
        before = [member.handle.allocation for member in self.observer.members]
        await self.estimate(estimate)
        after = [member.handle.allocation for member in self.observer.members]
        calm = all(behaviour.manner in HONEST for behaviour in self.alive)
        self.observer.demand(
            before == after or not calm, "G3", f"a repeated estimate made {before} into {after}"
        )

    @rule(share=st.sampled_from([0.0, 0.5, 0.94, 0.96, 0.98, 0.999, 1.0, 1.001, 1.02, 1.3, 2.0]))
    async def move_estimate(self, share: float) -> None:
        """The estimate changes by some share of itself, or of what is held."""
        base = self.allocator.estimate.value or self.observer.total
        await self.estimate(int(base * share))

    @rule(less=st.integers(-1, 1))
    async def estimate_what_is_held(self, less: int) -> None:
        """The estimate is what is held, but for one bit/s."""
        await self.estimate(max(0, self.observer.total + less))

    @rule(swing=st.sampled_from([0.02, 0.1, 0.3]), times=st.integers(2, 8))
    async def swing_estimate(  # noqa: ASYNC910 - it swings at least twice
        self, swing: float, times: int
    ) -> None:
        """The estimate swings around what is held."""
        base = self.observer.total
        for index in range(times):
            await self.estimate(int(base * (1 + (swing if index % 2 else -swing))))
            await trio.sleep(0.5)

    async def estimate(self, estimate: int) -> None:
        """Deliver an estimate, bit/s, and let everybody react."""
        self.observer.call(None, self.allocator.update_bandwidth_estimation, estimate)
        self.observer.demand(
            self.allocator.estimate.value == estimate, "A6", "the newest estimate is not in force"
        )
        await self.settle()

    @rule(behaviour=receivers, bitrate=RATES | st.just(10**9))
    async def request(self, behaviour: Behaviour, bitrate: int) -> None:
        """A receiver wants another allocation."""
        member = behaviour.member
        assume(not member.gone)
        handle = member.handle
        before = handle.allocation
        self.observer.call(member, handle.request_allocation, bitrate)
        demand = self.observer.demand
        demand(handle.claim == bitrate, "G9", f"it asked for {bitrate}, and claims {handle.claim}")
        if bitrate <= before:
            demand(
                bitrate in {handle.allocation, before},
                "G9",
                f"it lowered itself to {bitrate} and holds {handle.allocation}",
            )
        await self.settle()

    @rule(behaviour=receivers)
    async def request_what_is_held(self, behaviour: Behaviour) -> None:
        """A receiver wants what it has: that calls off a raise, and is answered if it did (G3)."""
        member = behaviour.member
        assume(not member.gone)
        handle = member.handle
        held = handle.allocation
        self.observer.call(member, handle.request_allocation, held)
        self.observer.demand(
            handle.claim == held,
            "G3",
            f"it asked for the {held} it holds, and claims {handle.claim}",
        )
        await self.settle()

    @rule(behaviour=receivers, bitrate=RATES)
    async def force(self, behaviour: Behaviour, bitrate: int) -> None:
        """The application lowers an allocation: the claim stays (G9)."""
        member = behaviour.member
        assume(not member.gone)
        handle = member.handle
        claim, before = handle.claim, handle.allocation
        self.observer.force(member, bitrate)
        self.observer.demand(handle.claim == claim, "G9", f"force made the claim {handle.claim}")
        self.observer.demand(
            handle.allocation == min(before, bitrate),
            "G9",
            f"forced from {before} to {bitrate}, it holds {handle.allocation}",
        )
        await self.settle()

    @rule(behaviour=receivers, options=OPTIONS, rates=st.none() | LADDERS)
    async def configure(self, behaviour: Behaviour, options: Any, rates: Any) -> None:
        """Options or the ladder of a receiver change."""
        member = behaviour.member
        assume(not member.gone)
        handle = member.handle
        low = options.get("min_bitrate", handle.options.min_bitrate)
        cap = options.get("max_bitrate", handle.options.max_bitrate)
        assume(cap is None or cap >= low)
        self.observer.call(member, handle.send_nowait, SetOptions(options))
        if rates is not None:
            ladder = {f"v{rate}": rate for rate in rates}
            self.observer.call(member, handle.send_nowait, SetVariants(ladder))
        await self.settle()

    @rule(behaviour=receivers, value=NONSENSE)
    async def say_nonsense(self, behaviour: Behaviour, value: Any) -> None:
        """What is no rate is refused, and changes nothing (I1)."""
        member = behaviour.member
        assume(not member.gone)
        handle = member.handle
        before = (handle.allocation, handle.claim, self.allocator.estimate.value)
        operations: list[Callable[[], object]] = [
            lambda: handle.request_allocation(value),
            lambda: self.allocator.update_bandwidth_estimation(value),
            lambda: self.allocator.force_allocation(handle, value),
            lambda: handle.buffer_sent(value),
        ]
        for operation in operations:
            try:
                self.observer.call(None, operation)
            except (TypeError, ValueError):
                continue
            self.observer.demand(False, "I1", f"{value!r} was taken for a rate or a size")
        after = (handle.allocation, handle.claim, self.allocator.estimate.value)
        self.observer.demand(before == after, "I1", f"{value!r} made {before} into {after}")
        await self.settle()

    @rule(behaviour=receivers, size=st.integers(0, 100_000))
    async def send(self, behaviour: Behaviour, size: int) -> None:
        """A receiver sends a packet."""
        assume(not behaviour.member.gone)
        self.observer.call(None, behaviour.member.handle.buffer_sent, size)
        await self.settle()

    # --- time --------------------------------------------------------------------------------

    @rule(seconds=SECONDS)
    async def pass_time(self, seconds: float) -> None:
        """Time passes in silence."""
        await trio.sleep(seconds)
        await self.settle()

    @rule(seconds=SECONDS)
    async def stall(self, seconds: float) -> None:
        """Something keeps the event loop busy for a while: nobody has its turn."""
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        clock.jump(seconds)
        await self.settle()

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 20.0]))
    async def repeat_estimate(self, seconds: float) -> None:
        """Time passes, and the estimate stays as it is."""
        await self._repeat_estimate(seconds)

    @precondition(lambda self: not self.rested)
    @rule()
    async def rest(self) -> None:
        """So much time passes at a steady estimate that nothing keeps anything back (G2).

        It takes long, so once in a test case is enough.
        """
        self.rested = True
        await self._repeat_estimate(self.terms.calm + 10)
        self.observer.idle_capacity()

    async def _repeat_estimate(self, seconds: float) -> None:  # noqa: ASYNC910 - if there is one
        estimate = self.allocator.estimate.value
        end = trio.current_time() + seconds
        while estimate is not None and trio.current_time() < end:
            await trio.sleep(min(1.0, end - trio.current_time()))
            await self.estimate(estimate)

    async def settle(self) -> None:
        """Give every task its turn, and judge what comes of it."""
        await trio.testing.wait_all_tasks_blocked()
        self.alive = [behaviour for behaviour in self.alive if not behaviour.member.gone]
        self.observer.settled([b.member for b in self.alive if not b.busy])

    async def finish(self) -> None:
        """Everybody leaves: the whole of an estimate can be granted again (A1, L2)."""
        observer = self.observer
        for behaviour in list(self.alive):
            observer.leave(behaviour.member)
        await self.settle()
        if "A2" in self.except_for:
            return
        with self.allocator.register_track_receiver(Track("last"), negotiable=False) as last:
            self.allocator.update_bandwidth_estimation(10_000)
            last.request_allocation(10_000)
            await trio.sleep(self.terms.calm)
            self.allocator.update_bandwidth_estimation(10_000)
            observer.demand(
                last.allocation == 10_000,
                "A1",
                f"alone, it was granted {last.allocation} of 10000 bit/s",
            )
            last.request_allocation(10_100)
            observer.demand(
                last.allocation == 10_000, "A2", f"it was granted {last.allocation} of 10000 bit/s"
            )
