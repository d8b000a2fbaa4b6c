"""What the receivers send: simulcast cameras whose live rates wander, and audio.

A switch takes effect at a key frame, a while after it was asked for; until then the old variant
flows. Only stopping is immediate.
"""

from __future__ import annotations

import heapq
import math

import numpy as np

from .clock import STEP, STEPS_PER_SECOND, Series

VARIANTS = ("low", "medium", "high")

NOMINAL = (150_000, 500_000, 2_500_000)
"""bit/s (the reference's ladder)."""

AUDIO = 35_000
"""One audio track, bit/s."""

AUDIO_TRACKS = 3
"""There are at most this many."""

UTILITY = tuple(math.log1p(rate / 50_000) / math.log1p(NOMINAL[-1] / 50_000) for rate in NOMINAL)
"""What a variant is worth: .353, .610, 1."""

SWING = 0.1
"""How far a live rate wanders from the nominal one, as a share of it."""

SPREAD = 0.05
"""The standard deviation of a live rate, as a share of the nominal one, before `SWING` cuts it."""

MEMORY = 3.0
"""Time constant of the wandering, s: the length of a movement in the picture."""

KEY_FRAME = (0.1, 0.4)
"""How long after its request a key frame comes, s."""

BLOCK = 10
"""For this many steps a live rate is constant: 0.1 s."""

NONE = -1
"""No variant."""


class Cameras:
    """All the cameras of one run. Times are in steps of the clock.

    Attributes:
        flowing: The variant that each sends, `NONE` for none.
        requested: The variant that each was asked for last.
        changes: Of what flows: (step, camera, variant), in order.
        decisions: Of what is asked for: (step, camera, variant), in order.

    Args:
        count: How many.
        steps: How long the run lasts.
        seed: Two runs of the same seed have the same rates and key frames.
    """

    def __init__(self, count: int, steps: int, seed: int) -> None:
        blocks = steps // BLOCK + 2
        self.count: int = count
        self.flowing: list[int] = [NONE] * count
        self.requested: list[int] = [NONE] * count
        self.changes: list[tuple[int, int, int]] = []
        self.decisions: list[tuple[int, int, int]] = []
        self._factors = _wandering(count, blocks, seed)
        # Of each camera: seconds times factor up to the beginning of each block.
        self._cumulated = np.zeros((blocks + 1, count))
        np.cumsum(self._factors * (BLOCK * STEP), axis=0, out=self._cumulated[1:])
        self._nominal = np.zeros(count)
        self._delays = [_delays(seed, camera) for camera in range(count)]
        self._delay_turn = [0] * count
        self._due: list[tuple[int, int, int]] = []
        self._turn = [0] * count
        self._sent = [0.0] * count
        self._since = [0] * count
        self.audio: int = min(count, AUDIO_TRACKS) * AUDIO

    @property
    def next_switch(self) -> float:
        """When the next key frame comes."""
        while self._due and self._due[0][2] != self._turn[self._due[0][1]]:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else math.inf

    def request(self, step: int, camera: int, variant: int) -> None:
        """Ask for a variant; what flows now means to stay, `NONE` must be told to `switch` too."""
        if variant != self.requested[camera]:
            self.requested[camera] = variant
            self.decisions.append((step, camera, variant))
        self._turn[camera] += 1
        if variant not in (NONE, self.flowing[camera]):
            delays = self._delays[camera]
            self._delay_turn[camera] += 1
            delay = delays[self._delay_turn[camera] % len(delays)]
            heapq.heappush(self._due, (step + delay, camera, self._turn[camera]))

    def take_due(self) -> int:
        """The camera whose key frame has come; `switch` it to what was requested."""
        return heapq.heappop(self._due)[1]

    def switch(self, step: int, camera: int, variant: int) -> None:
        """From now on this flows."""
        self._sent[camera] = self.sent(step, camera)
        self._since[camera] = step
        self.flowing[camera] = variant
        self._nominal[camera] = NOMINAL[variant] if variant != NONE else 0
        self.changes.append((step, camera, variant))

    def sent(self, step: int, camera: int) -> float:
        """What a camera has sent up to now, bits."""
        if self.flowing[camera] == NONE:
            return self._sent[camera]
        duration = self._elapsed(step, camera) - self._elapsed(self._since[camera], camera)
        return float(self._sent[camera] + self._nominal[camera] * duration)

    def _elapsed(self, step: int, camera: int) -> float:
        block, rest = divmod(step, BLOCK)
        return float(self._cumulated[block, camera] + rest * STEP * self._factors[block, camera])

    def rates(self, begin: int, end: int) -> Series:
        """What all that flows now sends in each of these steps, audio included, bit/s."""
        first, last = begin // BLOCK, (end - 1) // BLOCK + 1
        rates = self._factors[first:last] @ self._nominal + self.audio
        return np.repeat(rates, BLOCK)[begin - first * BLOCK : end - first * BLOCK]


def _wandering(count: int, blocks: int, seed: int) -> Series:
    """First-order autoregressive factors around 1, one column for each camera."""
    keep = math.exp(-BLOCK * STEP / MEMORY)
    noise = np.column_stack(
        [
            np.random.default_rng([seed, 1, camera]).standard_normal(blocks)
            for camera in range(count)
        ]
    )
    noise *= SPREAD * math.sqrt(1 - keep * keep)
    value = noise[0] / math.sqrt(1 - keep * keep)
    factors = np.empty((blocks, count))
    for block in range(blocks):
        factors[block] = value
        value = keep * value + noise[block]
    return 1 + np.clip(factors, -SWING, SWING)


def _delays(seed: int, camera: int) -> list[int]:
    low, high = (round(time * STEPS_PER_SECOND) for time in KEY_FRAME)
    generator = np.random.default_rng([seed, 2, camera])
    return [int(delay) for delay in generator.integers(low, high + 1, 4096)]
