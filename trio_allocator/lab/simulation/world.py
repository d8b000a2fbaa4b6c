"""One run in virtual time: a link, its cameras, an estimator, and an allocator under test."""

from __future__ import annotations

from typing import Protocol

from .cameras import NOMINAL, NONE, Cameras
from .clock import STEPS_PER_SECOND
from .estimates import INTERVAL, KINDS, NOISE, noise_factors
from .link import Link
from .trace import Trace


class Subject(Protocol):
    """An allocator under test, together with the receivers that talk to it.

    It acts upon the world by `World.request` alone. Cameras go by their index.

    Attributes:
        forced: How often an allocation was forced down.
        asked: How many decreases were asked for.
    """

    forced: int
    asked: int

    def start(self, world: World) -> None:
        """Register everything, at time 0."""
        ...

    def estimate(self, estimate: float) -> None:
        """An estimate has come, bit/s."""
        ...

    def switched(self, camera: int, variant: int) -> None:
        """The key frame that was asked for has come."""
        ...

    def advance(self) -> None:
        """The time of `wake_step` has come."""
        ...

    @property
    def wake_step(self) -> float:
        """When `advance` is due."""
        ...

    @property
    def padding_target(self) -> float:
        """What media and padding are to reach together, bit/s; 0 for no padding."""
        ...

    @property
    def bank(self) -> float:
        """For how long surplus media count against padding that is due later, s."""
        ...


class World:
    """See the module.

    Attributes:
        step: Now.
        cameras: What sends.
        link: What it is sent over.
        estimates: All that were delivered: (step, bit/s).
        interval: They come this many steps apart.

    Args:
        trace: The capacity of the link.
        receivers: How many cameras.
        subject: The allocator under test.
        estimates: ``ideal``, ``gcc`` or ``real``.
        seed: Of rates, key frames and noise.
        noise: By which share an estimate may be off.
    """

    def __init__(
        self,
        trace: Trace,
        receivers: int,
        subject: Subject,
        estimates: str,
        seed: int,
        *,
        noise: float = NOISE,
    ) -> None:
        self.trace: Trace = trace
        self.step: int = 0
        self.cameras: Cameras = Cameras(receivers, trace.steps, seed)
        self.link: Link = Link(trace, subject.bank)
        self.estimates: list[tuple[int, float]] = []
        self._subject = subject
        wanted = receivers * NOMINAL[-1] + self.cameras.audio
        self._estimator = KINDS[estimates](trace, self.link, wanted)
        self.interval: int = self._estimator.interval
        self._noise = noise_factors(seed, trace.steps // INTERVAL + 1, noise)

    @property
    def now(self) -> float:
        """The time, s."""
        return self.step / STEPS_PER_SECOND

    def request(self, camera: int, variant: int) -> None:
        """Ask a camera for a variant; `NONE` stops it at once."""
        self.cameras.request(self.step, camera, variant)
        if variant == NONE and self.cameras.flowing[camera] != NONE:
            self.catch_up()
            self.cameras.switch(self.step, camera, NONE)

    def run(self) -> None:
        """Let it all happen."""
        subject, cameras, end = self._subject, self.cameras, self.trace.steps
        subject.start(self)
        next_estimate = self.interval
        while True:
            self._aim()
            # Whatever is overdue gets its turn in the next step: the clock never stands still.
            wake = max(subject.wake_step, self.step + 1)
            step = min(next_estimate, cameras.next_switch, wake)
            if step >= end:
                break
            self.step = int(step)
            while cameras.next_switch <= self.step:
                self.catch_up()
                camera = cameras.take_due()
                variant = cameras.requested[camera]
                cameras.switch(self.step, camera, variant)
                subject.switched(camera, variant)
            if subject.wake_step <= self.step:
                subject.advance()
            if self.step == next_estimate:
                self.catch_up()
                estimate = self._estimator.estimate(self.step)
                estimate *= self._noise[(self.step - 1) // INTERVAL]
                self.estimates.append((self.step, estimate))
                subject.estimate(estimate)
                next_estimate += self.interval
        self.step = end
        self.catch_up()

    def _aim(self) -> None:
        target = self._subject.padding_target
        if target != self.link.target:
            self.catch_up()
            self.link.aim(target)

    def catch_up(self) -> None:
        """Bring the link up to now: before anything changes what is sent."""
        if self.link.step < self.step:
            self.link.advance(self.cameras.rates(self.link.step, self.step))
