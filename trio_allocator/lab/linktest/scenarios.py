"""What is tried: capacities over time, losses, and who sends when.

Most follow RFC 8867, "Test Cases for Evaluating Congestion Control for Interactive Real-Time
Media": one way takes 50 ms, and the queue holds what 1 Mbit/s carries in 300 ms.
"""

from __future__ import annotations

from itertools import pairwise

from attrs import evolve, frozen

from ...network.capacity import RateSchedule

ONE_WAY = 0.05
"""RFC 8867, section 5.1, s."""
QUEUE = 37_500
"""300 ms (RFC 8867, section 5.1) at 1 Mbit/s, bytes: a real queue does not grow with its link."""
_DROP = 0.8
"""A change to less than this share is a drop, and not a slope."""
_RAMP_STEP = 0.5


@frozen
class Drop:
    """The capacity falls at once.

    Attributes:
        time: s.
        until: When it changes again, s.
        capacity: From then on, bit/s.
    """

    time: float
    until: float
    capacity: float


@frozen
class Rise:
    """There is more to have than before.

    Attributes:
        time: s.
        until: When that changes again, s.
        target: What is there to have, bit/s.
        flow: For whom; None for all together.
    """

    time: float
    until: float
    target: float
    flow: int | None = None


@frozen
class Scenario:
    """One schedule.

    Attributes:
        name: For the command line.
        title: What it is, in a few words.
        steps: Times and capacities; see `RateSchedule`.
        duration: s.
        loss: Probability that a packet is lost by chance.
        starts: When each flow begins, s.
        pauses: Flow, from, until: when one sends nothing, s.
        delay: One way, s.
        queue: Bytes that may wait.
    """

    name: str
    title: str
    steps: tuple[tuple[float, float], ...]
    duration: float
    loss: float = 0.0
    starts: tuple[float, ...] = (0.0,)
    pauses: tuple[tuple[int, float, float], ...] = ()
    delay: float = ONE_WAY
    queue: int = QUEUE

    def scaled(self, factor: float) -> Scenario:
        """The same with all times multiplied; rates and delays stay."""
        return evolve(
            self,
            steps=tuple((time * factor, rate) for time, rate in self.steps),
            duration=self.duration * factor,
            starts=tuple(time * factor for time in self.starts),
            pauses=tuple((flow, begin * factor, end * factor) for flow, begin, end in self.pauses),
        )

    @property
    def schedule(self) -> RateSchedule:
        """The capacity."""
        return RateSchedule(self.steps)

    def is_active(self, flow: int, time: float) -> bool:
        """Whether a flow is to send."""
        return time >= self.starts[flow] and not any(
            paused == flow and begin <= time < end for paused, begin, end in self.pauses
        )

    def switches(self, flow: int) -> list[tuple[float, bool]]:
        """When a flow begins, pauses, resumes: times and whether it sends from then on."""
        times = [self.starts[flow]]
        times += [time for paused, *both in self.pauses if paused == flow for time in both]
        return [(time, self.is_active(flow, time)) for time in times]

    def has_settled(self, begin: float, end: float, after: float) -> bool:
        """Whether all flows are active from `begin` to `end`, and have been for so long, s."""
        flows = range(len(self.starts))
        changes = [time for flow in flows for time, _active in self.switches(flow)]
        return all(self.is_active(flow, begin) for flow in flows) and not any(
            begin - after < time < end for time in changes
        )

    def drops(self) -> list[Drop]:
        """Where the capacity falls at once."""
        return [
            Drop(time, until, rate)
            for (_before, earlier), (time, rate), until in self._changes()
            if rate < _DROP * earlier
        ]

    def rises(self) -> list[Rise]:
        """Where there is more to have: the capacity rises at once, or a flow resumes."""
        rises = [
            Rise(time, until, rate)
            for (_before, earlier), (time, rate), until in self._changes()
            if _DROP * rate > earlier
        ]
        rises += [
            Rise(end, self.duration, self.schedule.rate_at(end) / len(self.starts), flow)
            for flow, _begin, end in self.pauses
        ]
        return rises

    def _changes(self) -> list[tuple[tuple[float, float], tuple[float, float], float]]:
        ends = [*(time for time, _rate in self.steps[2:]), self.duration]
        # With one step there is an end, and no change.
        return [
            (earlier, later, until)
            for (earlier, later), until in zip(pairwise(self.steps), ends, strict=False)
        ]


def _ramp(low: float, high: float, length: float) -> tuple[tuple[float, float], ...]:
    """Up and down again, in steps small enough to be a slope."""
    count = round(length / 2 / _RAMP_STEP)
    up = [low + (high - low) * number / count for number in range(count)]
    rates = [*up, high, *reversed(up)]
    return tuple((number * _RAMP_STEP, rate) for number, rate in enumerate(rates))


SCENARIOS = (
    Scenario(
        "steps",
        "1.0, 2.5, 0.6, 1.0 Mbit/s (RFC 8867, 5.1)",
        ((0, 1e6), (40, 2.5e6), (60, 0.6e6), (80, 1e6)),
        100,
    ),
    Scenario("ramp", "0.5 to 2.0 Mbit/s and back, slowly", _ramp(0.5e6, 2e6, 80), 80),
    Scenario("overload", "1.0, 0.3, 1.0 Mbit/s", ((0, 1e6), (30, 0.3e6), (50, 1e6)), 70),
    Scenario("loss-2", "1.0 Mbit/s, 2 % lost by chance", ((0, 1e6),), 60, loss=0.02),
    Scenario("loss-5", "1.0 Mbit/s, 5 % lost by chance", ((0, 1e6),), 60, loss=0.05),
    Scenario(
        "pause",
        "two flows on 2.0 Mbit/s, one pauses (after RFC 8867, 5.8)",
        ((0, 2e6),),
        100,
        starts=(0, 0),
        pauses=((1, 40, 60),),
    ),
    Scenario(
        "shared",
        "two flows on 2.0 Mbit/s, one joins late (after RFC 8867, 5.4)",
        ((0, 2e6),),
        90,
        starts=(0, 15),
    ),
)
"""In the order in which they are run."""
