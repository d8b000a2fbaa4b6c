"""What sources send: frames of varying size, key frames, live rates that are not the declared ones.

A source knows no allocator. It is asked for the next frame of a variant, and draws its size. All
sizes are bytes on the wire, times are s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random

from attrs import frozen

FRAME_RATE = 20.0
"""Of cameras and screens, frames a second (libwebrtc's simulcast publishers of the recording that
ships were as fast)."""

LIVE = (0.7, 1.6)
"""A live rate is between these multiples of the declared one: a layer declared at 1.35 Mbit/s was
seen between 0.92 and 3.73 Mbit/s in production, and .7 to 1.6 × most of the time."""

DRIFT = 0.12
"""Standard deviation by which the logarithm of a live rate drifts,"""

DRIFT_TIME = 15.0
"""... with this time constant, s: scenes of a conference change slowly."""

SIZE_SPREAD = 0.25
"""Standard deviation of the logarithm of a frame's size."""

KEY_SIZE = (6.0, 8.0)
"""A key frame is this many times a usual frame (libwebrtc at 20 frames a second)."""

PAID_BACK = 1.0
"""A coder saves what a key frame cost within this time, s,"""

SAVED = 0.3
"""... by frames that are smaller by at most this share."""

STILL = (3.0, 15.0)
"""For so long a screen does not change, s,"""

BUSY = (1.0, 5.0)
"""... and for so long it does: scrolling, a film clip."""

STILL_FRAME = 120
"""A still screen sends this much once a second, bytes: a cursor."""

TALK = (1.0, 8.0)
"""Somebody talks for so long, s,"""

SILENCE = (2.0, 20.0)
"""... and listens for so long."""

VOICE_FRAME = 0.02
"""s."""

TALKING = 0.3
"""The share of the time in which somebody talks, by the means of these."""

COMFORT_NOISE = 0.4
"""In silence, Opus with DTX sends a packet this often, s (RFC 7587, section 3.1.3),"""

NOISE_SIZE = 45
"""... of this size, bytes."""

LARGEST_PACKET = 1_200
"""Bytes on the wire (libwebrtc's)."""


class Alternation:
    """Two states that take turns, for random times."""

    def __init__(
        self, chance: Random, first: tuple[float, float], second: tuple[float, float]
    ) -> None:
        self._chance = chance
        self._lengths = (first, second)
        self._state = chance.random() < 0.5
        self._until = 0.0

    def second(self, now: float) -> bool:
        """Whether it is in the second state; the time never goes back."""
        while now >= self._until:
            self._state = not self._state
            self._until += self._chance.uniform(*self._lengths[self._state])
        return self._state


class LiveRate:
    """How a live rate compares with the declared one over time.

    Args:
        seed: Two of the same seed are the same, whatever else is drawn.
    """

    def __init__(self, seed: str) -> None:
        chance = self._chance = Random(seed)  # noqa: S311 - repeatable, not secret
        least, most = LIVE
        # Most sources are near what they declare, a few are far off.
        self._base = chance.triangular(math.log(least), math.log(most), 0.0)
        self._keep = math.exp(-1.0 / DRIFT_TIME)
        self._noise = DRIFT * math.sqrt(1 - self._keep**2)
        self._value = chance.gauss(0.0, DRIFT)
        self._second = 0
        self._factor = self._clipped()

    def factor(self, now: float) -> float:
        """Live rate over declared rate; the time never goes back."""
        while self._second <= now:
            self._second += 1
            self._value = self._keep * self._value + self._chance.gauss(0.0, self._noise)
            self._factor = self._clipped()
        return self._factor

    def _clipped(self) -> float:
        return min(max(math.exp(self._base + self._value), LIVE[0]), LIVE[1])


class PictureSource:
    """A camera, or a screen that is shared, in several variants.

    Args:
        ladder: Variant name to declared rate, bit/s.
        seed: Of everything that is random.
        is_screen: It is still most of the time.
    """

    def __init__(self, ladder: Mapping[str, int], seed: str, *, is_screen: bool) -> None:
        chance = self._chance = Random(f"{seed}/frames")  # noqa: S311 - repeatable, not secret
        self._live = LiveRate(f"{seed}/live")
        self._of_variant = {name: chance.uniform(0.92, 1.08) for name in ladder}
        self._ladder = dict(ladder)
        self._activity = activity(seed) if is_screen else None
        self._owed = dict.fromkeys(ladder, 0.0)
        self._still_since = -math.inf

    def rate(self, variant: str, now: float) -> float:
        """The live rate while something moves, bit/s."""
        return self._ladder[variant] * self._of_variant[variant] * self._live.factor(now)

    def frame(self, variant: str, now: float) -> int:
        """The next frame, `FRAME_RATE` times a second; 0 for none, as nothing moves."""
        if self._activity is not None and not self._activity.second(now):
            if now - self._still_since < 1.0:
                return 0
            self._still_since = now
            return STILL_FRAME
        usual = self.rate(variant, now) / 8 / FRAME_RATE
        size = usual * math.exp(self._chance.gauss(-(SIZE_SPREAD**2) / 2, SIZE_SPREAD))
        owed = self._owed[variant]
        if owed > 0:
            saved = min(owed, size * SAVED, usual)
            self._owed[variant] = owed - saved
            size -= saved
        return max(60, round(size))

    def key_frame(self, variant: str, now: float) -> int:
        """A key frame, bytes; a still screen's is as large as a moving one's."""
        usual = self.rate(variant, now) / 8 / FRAME_RATE
        size = usual * self._chance.uniform(*KEY_SIZE)
        most = SAVED * usual * FRAME_RATE * PAID_BACK
        self._owed[variant] = min(self._owed[variant] + size - usual, most)
        return round(size)


def activity(seed: str) -> Alternation:
    """When a shared screen moves."""
    chance = Random(f"{seed}/activity")  # noqa: S311 - repeatable, not secret
    return Alternation(chance, STILL, BUSY)


class Voice:
    """Opus with DTX: packets while somebody talks, and hardly any in silence.

    Args:
        rate: While somebody talks, bit/s, headers included.
        chance: Of everything that is random.
    """

    def __init__(self, rate: int, chance: Random) -> None:
        self._size = max(1, round(rate / 8 * VOICE_FRAME))
        self._talk = Alternation(chance, SILENCE, TALK)

    def frame(self, now: float) -> tuple[int, float]:
        """The next packet, bytes, and how long until the one after it, s."""
        if self._talk.second(now):
            return self._size, VOICE_FRAME
        return NOISE_SIZE, COMFORT_NOISE


@frozen
class Act:
    """Something that happens to a receiver.

    Attributes:
        time: s.
        receiver: Its index.
        kind: ``off`` and ``on`` (of the source), ``mute`` and ``unmute`` (by the receiver's side),
            ``pin``, ``target``, ``top_off`` and ``top_on`` (of the best variant), ``leave``,
            ``join``.
        variant: Of ``pin`` and ``target``; None for none.
    """

    time: float
    receiver: int
    kind: str
    variant: str | None = None


ACT_EVERY = 45.0
"""Something happens to each receiver this often on average, s."""

KEY_ASKED_EVERY = 20.0
"""Other subscribers ask a publisher for a key frame this often on average, s."""

FIRST_ACT = 8.0
"""Before that nobody acts, s: joining is enough."""

_ACTS = (("off", "on"), ("mute", "unmute"), ("pin", "pin"), ("target", "target"),
         ("top_off", "top_on"), ("leave", "join"))  # fmt: skip


def script(receivers: int, ladders: list[list[str]], duration: float, seed: int) -> list[Act]:
    """What happens in a conference, in order of time.

    Each receiver has one thing at a time happen to it, for 3 to 20 s.

    Args:
        receivers: How many there are.
        ladders: The variants of each, the lowest first.
        duration: s.
        seed: Of everything.
    """
    acts: list[Act] = []
    for receiver in range(receivers):
        chance = Random(f"{seed}/script/{receiver}")  # noqa: S311 - repeatable, not secret
        names = ladders[receiver]
        time = FIRST_ACT + ACT_EVERY * chance.random()
        while time < duration:
            begin, end = chance.choice(_ACTS)
            length = chance.uniform(3.0, 20.0)
            variant = chance.choice(names[:-1] or names) if begin in ("pin", "target") else None
            acts.append(Act(time, receiver, begin, variant))
            acts.append(Act(time + length, receiver, end))
            time += length + ACT_EVERY * chance.uniform(0.5, 1.5)
    return sorted((act for act in acts if act.time < duration), key=lambda act: act.time)
