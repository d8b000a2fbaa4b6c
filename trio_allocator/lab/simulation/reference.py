"""The baseline: the rules of the known implementation (Membrane RTC Engine's), restated.

It stands for comparison only, and does not run on this project's engine, for its rules break most
of the invariants. Rates are those measured between two estimates, not allocations; the first fall
of the estimate is forgiven; one receiver at a time is asked, the smallest first; nobody pauses.
"""

from __future__ import annotations

import math
from collections import deque
from enum import Enum

from attrs import define, field

from .cameras import AUDIO, AUDIO_TRACKS, NOMINAL, NONE
from .clock import STEP
from .world import World

HEADROOM = 1.1
"""An allocation is this many times the rate of a variant."""

OVERUSE = 0.8
"""Overuse begins when the estimate is below this share of the usage."""

INCREMENT = 200_000
"""Probing aims so far above the estimate, bit/s."""


class Status(Enum):
    """What the baseline is about."""

    ALLOWED_OVERUSE = "allowed overuse"
    """Everything is frozen."""
    DISALLOWED_OVERUSE = "disallowed overuse"
    """Somebody is asked for a decrease."""
    INCREASE_ESTIMATION = "increase estimation"
    """Somebody waits for more: it probes."""
    MAINTAIN_ALLOCATION = "maintain allocation"


_OVERUSE = (Status.ALLOWED_OVERUSE, Status.DISALLOWED_OVERUSE)


@define(eq=False)
class _Entry:
    """What the allocator knows of a receiver, rates in bit/s."""

    camera: int
    allocation: float
    negotiable: bool
    target: float | None = None
    rate: float = field(init=False)
    counted: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.rate = self.allocation


class ReferenceSubject:
    """See the module.

    Attributes:
        status: What it is about.
        forced: It forces nobody.
        asked: How many decreases were asked for.

    Args:
        receivers: How many cameras there are.
    """

    bank: float = math.inf
    wake_step: float = math.inf

    def __init__(self, receivers: int) -> None:
        self.status: Status = Status.ALLOWED_OVERUSE
        self.asked: int = 0
        self.forced: int = 0
        self._count = receivers
        self._estimate: float | None = None
        self._usage = 0.0
        self._measured_at = 0
        self._entries: list[_Entry] = []
        self._selectors: list[_Selector] = []
        self._inbox: deque[tuple[_Entry, float]] = deque()

    def start(self, world: World) -> None:
        """See `Subject.start`: cameras register with their highest variant."""
        self._world = world
        for _ in range(min(self._count, AUDIO_TRACKS)):
            self._entries.append(_Entry(-1, HEADROOM * AUDIO, negotiable=False))
        for camera in range(self._count):
            entry = _Entry(camera, HEADROOM * NOMINAL[-1], negotiable=True)
            self._entries.append(entry)
            self._selectors.append(_Selector(self, world, entry))
        for selector in self._selectors:
            selector.choose()
        self._handle_requests()

    def estimate(self, estimate: float) -> None:
        """See `Subject.estimate`."""
        rises = self._estimate is None or estimate >= self._estimate
        may_overuse = rises or self.status is not Status.ALLOWED_OVERUSE
        self._measure()
        self._estimate = estimate
        self._judge_overuse(allowed=may_overuse)
        self._settle()
        self._judge_probing()
        self._handle_requests()

    def switched(self, camera: int, variant: int) -> None:
        """See `Subject.switched`."""
        self._selectors[camera].switched(variant)
        self._handle_requests()

    def advance(self) -> None:
        """See `Subject.advance`: it does nothing by itself."""

    @property
    def padding_target(self) -> float:
        """See `Subject.padding_target`."""
        if self.status is not Status.INCREASE_ESTIMATION or self._estimate is None:
            return 0
        return self._estimate + INCREMENT

    def request(self, entry: _Entry, bitrate: float) -> None:
        """A receiver wants another allocation: heard when what goes on now is done."""
        self._inbox.append((entry, bitrate))

    def _handle_requests(self) -> None:
        while self._inbox:
            entry, bitrate = self._inbox.popleft()
            if entry.allocation == bitrate:
                continue
            if entry.rate > bitrate:
                self._usage += bitrate - entry.rate
                entry.rate = bitrate
                self._grant(entry, bitrate)
                self._judge_overuse(allowed=self.status is Status.ALLOWED_OVERUSE)
            else:
                entry.target = bitrate
            self._settle()
            self._judge_overuse(allowed=self.status is Status.ALLOWED_OVERUSE)
            self._judge_probing()

    def _measure(self) -> None:
        step = self._world.step
        elapsed = (step - self._measured_at) * STEP
        self._measured_at = step
        self._usage = 0.0
        for entry in self._entries:
            sent = (
                AUDIO * step * STEP
                if entry.camera < 0
                else self._world.cameras.sent(step, entry.camera)
            )
            entry.rate = math.ceil((sent - entry.counted) / elapsed)
            entry.counted = sent
            self._usage += entry.rate

    def _judge_overuse(self, *, allowed: bool) -> None:
        if self._estimate is None:
            return
        overuse = Status.ALLOWED_OVERUSE if allowed else Status.DISALLOWED_OVERUSE
        if self.status is not overuse and self._estimate < OVERUSE * self._usage:
            self.status = overuse
        elif self.status in _OVERUSE and self._usage <= self._estimate:
            self.status = self._probing_status()

    def _judge_probing(self) -> None:
        if self._estimate is not None and self.status not in _OVERUSE:
            self.status = self._probing_status()

    def _probing_status(self) -> Status:
        waiting = any(entry.target is not None for entry in self._entries)
        return Status.INCREASE_ESTIMATION if waiting else Status.MAINTAIN_ALLOCATION

    def _settle(self) -> None:
        if self._estimate is None or self.status is Status.ALLOWED_OVERUSE:
            return
        if self.status is Status.DISALLOWED_OVERUSE:
            self._ask()
        else:
            self._raise()

    def _ask(self) -> None:
        negotiable = [entry for entry in self._entries if entry.negotiable]
        for entry in sorted(negotiable, key=lambda entry: entry.allocation):
            self.asked += 1
            if self._selectors[entry.camera].decrease():
                self.status = Status.ALLOWED_OVERUSE
                return

    def _raise(self) -> None:
        assert self._estimate is not None
        while True:
            free = self._estimate - self._usage
            for entry in self._entries:
                if entry.target is not None and entry.target - entry.allocation <= free:
                    break
            else:
                return
            self._usage += entry.target - entry.rate
            self._grant(entry, entry.target)

    def _grant(self, entry: _Entry, bitrate: float) -> None:
        entry.allocation = bitrate
        entry.target = None
        self._selectors[entry.camera].granted(bitrate)


class _Selector:
    """The known selector's rules, for cameras whose nominal rates are what it believes in.

    So no variant ever outgrows its allocation; the rest is: give back what is not needed, then ask
    for the next variant.
    """

    def __init__(self, allocator: ReferenceSubject, world: World, entry: _Entry) -> None:
        self._allocator = allocator
        self._world = world
        self._entry = entry
        self._allocation = entry.allocation
        self._current = NONE
        self._queued = NONE

    @property
    def _latest(self) -> int:
        return self._current if self._queued == NONE else self._queued

    def granted(self, allocation: float) -> None:
        if allocation != self._allocation:
            self._allocation = allocation
            self.choose()

    def choose(self) -> None:
        """The best variant that fits."""
        self._select(
            max(
                variant
                for variant, rate in enumerate(NOMINAL)
                if HEADROOM * rate <= self._allocation
            )
        )

    def decrease(self) -> bool:
        """Asked to decrease: accepts if that does not mean to pause."""
        if self._latest <= 0:
            return False
        self._select(self._latest - 1)
        return True

    def switched(self, variant: int) -> None:
        self._current = variant
        self._queued = NONE
        self._manage()

    def _select(self, variant: int) -> None:
        if variant != self._latest:
            self._queued = NONE if variant == self._current else variant
            self._world.request(self._entry.camera, variant)
        self._manage()

    def _manage(self) -> None:
        best = max(self._current, self._queued)
        needed = HEADROOM * NOMINAL[best]
        if 1.2 * NOMINAL[best] < self._allocation:
            self._allocation = needed
            self._allocator.request(self._entry, needed)
        if best < len(NOMINAL) - 1:
            self._allocator.request(self._entry, HEADROOM * NOMINAL[self._latest + 1])
