"""A run: recorded estimates go to a real allocator, and real receivers act upon its decisions.

What is simulated is only what a recording cannot hold:

* Media: the chosen layer of each source is reported as sent at its measured rate, in chunks of
  50 ms. Nothing is sent before the first estimate, and a source of layers registers with nothing.
* Switches take effect at once: the figures then tell of decisions, and not of an encoder that we
  know nothing about (a key frame takes 100 to 400 ms).
* The ladder: each receiver is told what the layers weigh: at first the rates of the first row,
  later as `MeasuredAt` says, with a margin. Of a layer that was not sent yet the mean of the
  recording is told instead.
* An estimate stands until the next one, however long that takes (the figures say so too).
* Padding that the allocator asks for is sent, and has no effect: the estimates are recorded.

Sources of layers may be paused; a source of a single layer is fixed: carried whole, always.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import trio
import trio.testing

from ...interface import ConnectionAllocator
from ...receiver import SwitchReason, TrackReceiver
from ...shell.opening import open_allocator
from ...tracks import Track
from ..asked import Asked
from .pace import PacedClock
from .recording import Row, Source
from .state import RunState

CHUNK = 0.05
"""How often media are reported, s; besides, whenever their rate changes."""

_OFFSET = 0.618 * CHUNK
"""When the first chunk is reported. No round figure: where a chunk and the end of a receiver's
window of measurement fall together, Trio would have them take place in either order."""

SMOOTHING = 1.0
"""Time constant of the rates that a receiver is told, s: shorter than a scene, longer than a key
frame."""

DRIFT = 0.1
"""By which share a smoothed rate must have moved before the ladder is told anew: as much as the
headroom of an allocation."""


MEASURED_OVER = 1.0
"""Over how long a publisher's layers are measured, s."""

MARGIN = 0.05
"""What is told of a measured layer is more than it weighs by this share: half of the time it weighs more than on
average. Four ways to choose it were compared (see docs/cli.md)."""


class MeasuredAt(StrEnum):
    """Who measures what the layers weigh."""

    RECEIVER = "receiver"
    """The sender measures what flows, and is told of all layers only where a smoothed rate has
    moved away for good."""
    PUBLISHER = "publisher"
    """A server that takes all layers in measures each, over a second, and tells of every change,
    as a bridge can."""


class _Measured:
    """What a layer weighed on average, over the last second."""

    def __init__(self) -> None:
        self._spans: deque[tuple[float, int]] = deque()
        self._length = 0.0
        self._bits = 0.0

    def add(self, seconds: float, rate: int) -> None:
        """It weighed that much for so long."""
        self._spans.append((seconds, rate))
        self._length += seconds
        self._bits += seconds * rate
        while len(self._spans) > 1 and self._length - self._spans[0][0] >= MEASURED_OVER:
            gone, weighed = self._spans.popleft()
            self._length -= gone
            self._bits -= gone * weighed

    def rate(self, newest: int) -> int:
        """The average, bit/s; before anything was measured, the newest rate."""
        return round(self._bits / self._length) if self._length > 0 else newest


class _Sender:
    """One source: its receiver, and the media that it sends."""

    def __init__(
        self,
        allocator: ConnectionAllocator,
        run: _Run,
        index: int,
        asked: Asked,
        measured_at: MeasuredAt,
    ) -> None:
        self._run = run
        self._index = index
        self.source: Source = run.state.recording.sources[index]
        self._inactive: set[str] = set()
        self._measured_at = measured_at
        self._measured = [_Measured() for _layer in self.source.layers]
        first = run.state.recording.rows[0].rates[index]
        self._told = [
            rate or mean for rate, mean in zip(first, self.source.mean_rates, strict=True)
        ]
        self._smooth = [float(rate) for rate in self._told]
        self._weighed = first
        self._sent_until = 0.0
        self._owed = 0.0
        ladder = dict(zip(self.source.layers, self._told, strict=True))
        name = self.source.name
        priority, weight = asked.priorities.get(name, 0), asked.weights.get(name, 1.0)
        if self.source.is_fixed:
            self.receiver = TrackReceiver(
                allocator,
                Track(self.source.name, kind="audio", variants=ladder),
                request_variant=self._choose,
                priority=priority,
                weight=weight,
            )
        else:
            self.receiver = TrackReceiver(
                allocator,
                Track(self.source.name, variants=ladder),
                request_variant=self._choose,
                send_padding=self._pad,
                bandwidth=0,
                pausable=True,
                priority=priority,
                weight=weight,
            )

    def _choose(self, variant: str | None, _reason: SwitchReason) -> None:
        self._run.tell_time()
        self.send()
        if not self.source.is_fixed:
            layer = None if variant is None else self.source.layers.index(variant)
            self._run.state.choose(self._index, layer)
        self.receiver.variant_switched(variant)

    def _pad(self, size: int) -> int:
        self._run.state.padding += size
        return size

    def weigh(self, row: Row, elapsed: float) -> None:
        """Take in what the layers weigh from now on, having sent what they weighed before.

        Args:
            row: With the rates from now on.
            elapsed: For how long those before were in force, s.
        """
        self.send()
        share = -math.expm1(-elapsed / SMOOTHING)
        drifted = False
        for measured, rate in zip(self._measured, self._weighed, strict=True):
            measured.add(elapsed, rate)
        self._weighed = row.rates[self._index]
        for layer, (name, rate) in enumerate(
            zip(self.source.layers, row.rates[self._index], strict=True)
        ):
            if not rate:
                self._inactive.add(name)
                self.receiver.variant_inactive(name)
                continue
            if self._measured_at is MeasuredAt.PUBLISHER:
                self._smooth[layer] = self._measured[layer].rate(rate)
                drift = 0.0
            else:
                self._smooth[layer] += share * (rate - self._smooth[layer])
                drift = DRIFT
            told = self._told[layer]
            drifted = drifted or abs(self._with_margin(layer) - told) > drift * told
            if name in self._inactive:
                self._inactive.discard(name)
                self.receiver.variant_active(name)
        if drifted:
            self._told = [max(self._with_margin(layer), 1) for layer in range(len(self._told))]
            self.receiver.set_variants(dict(zip(self.source.layers, self._told, strict=True)))

    def _with_margin(self, layer: int) -> int:
        return int(self._smooth[layer] * (1 + MARGIN))

    def send(self) -> None:
        """Report what the chosen layer has sent since this was called before."""
        now = self._run.state.time
        seconds, self._sent_until = now - self._sent_until, now
        self._owed += self._run.state.weight(self._index) * seconds / 8
        size = int(self._owed)
        if size:
            self._owed -= size
            self.receiver.packet_sent(size)

    @property
    def allocation(self) -> int:
        """What the receiver holds, bit/s."""
        handle = self.receiver.handle
        return 0 if handle is None else handle.allocation


class _Run:
    """The times of a run, and its state."""

    def __init__(self, state: RunState) -> None:
        self.state = state
        self.began = trio.current_time()
        self.is_feeding = False

    def tell_time(self) -> None:
        """Move on to now; what a row brings about happens at the row's own time, all of it."""
        if not self.is_feeding:
            now = trio.current_time() - self.began
            self.state.time = min(max(self.state.time, now), self.state.recording.duration)

    async def until(self, time: float) -> None:
        """Sleep until a time of the recording, s."""
        await trio.sleep_until(self.began + time)


async def divide(
    state: RunState,
    clock: PacedClock,
    advance: Callable[[], None] | None = None,
    *,
    asked: Asked | None = None,
    measured_at: MeasuredAt = MeasuredAt.RECEIVER,
) -> None:
    """Feed a recording to an allocator, and keep the state up to date.

    Args:
        state: A fresh one.
        clock: Of this run of Trio.
        advance: Called after each row.
        asked: How the allocator and the receivers are set up; None for the defaults.
        measured_at: Who measures what the layers weigh.
    """
    asked = asked or Asked()
    settings: dict[str, Any] = {"estimate_timeout": math.inf, **asked.settings}
    async with (
        trio.open_nursery() as nursery,
        # A recording's estimate stands until the next one.
        open_allocator(policy=asked.policy, **settings) as allocator,
    ):
        run = _Run(state)
        senders = [
            _Sender(allocator, run, index, asked, measured_at)
            for index in range(len(state.recording.sources))
        ]
        for sender in senders:
            await nursery.start(sender.receiver.run)
        nursery.start_soon(_send_media, run, senders)
        before = 0.0
        for row in state.recording.rows:
            await run.until(row.time)
            # What else is due at this very time comes first, so that two runs are alike: Trio
            # would choose an order by chance.
            await _all_waiting(clock)
            run.is_feeding = True
            # In real time a row may be late, and media have been sent meanwhile.
            state.time = max(state.time, row.time)
            for sender in senders:
                sender.weigh(row, row.time - before)
            before = row.time
            state.rows_fed += 1
            allocator.update_bandwidth_estimation(row.estimate)
            # Negotiations take place in the next scheduler ticks, at this very time.
            await _all_waiting(clock)
            run.is_feeding = False
            state.allocations = [sender.allocation for sender in senders]
            if not state.started:
                state.settle()
            if advance is not None:
                advance()
        await run.until(state.recording.duration)
        run.tell_time()
        nursery.cancel_scope.cancel()


async def _all_waiting(clock: PacedClock) -> None:
    with clock.standing():
        await trio.testing.wait_all_tasks_blocked()


async def _send_media(run: _Run, senders: list[_Sender]) -> None:
    chunks = 0
    while True:
        await run.until(_OFFSET + chunks * CHUNK)
        chunks += 1
        run.tell_time()
        for sender in senders:
            sender.send()
        run.state.allocations = [sender.allocation for sender in senders]
