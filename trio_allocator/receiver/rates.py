"""What a variant really costs: its declared rate, corrected by what lasts in the measurement.

A layer declared at 1.35 Mbit/s was seen between 0.92 and 3.73 Mbit/s. A key frame or a quick
movement must not cost a switch, a lasting change must be noticed. Hence three filters: bytes are
counted over windows of at least `WINDOW`; the median of the last `SAMPLES` windows is looked at,
the declared rate standing in for those not yet measured; and what is believed changes only when
that median leaves the band in which an allocation counts as fitting. A variant counts as cheaper
only once it has flown for `SAMPLES` windows, and only if the last one says so too: after a switch an
encoder ramps up for seconds, and a rate that is given back then is missed a moment later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ..tracks import HEADROOM_TENTHS, with_headroom

WINDOW = 1.0
"""Shortest time over which a rate is measured, seconds: no tiny interval ever makes a rate."""

SAMPLES = 5
"""Windows whose median counts: two windows of burst are overlooked, a third is a change."""

MEMORY = 30.0
"""How long a measurement outlives the flow that it was made on, seconds. A variant that was once
too dear would otherwise never be tried again."""

LONGEST_MEMORY = 480.0
"""How long it does at most, seconds: it doubles each time that the variant proves too dear again."""

SILENT_WINDOWS = 3
"""How many silent windows in a row are measured: enough to be the median. More say nothing new."""


def needs_more(rate: int, allocation: int) -> bool:
    """Whether a rate needs more than 95 % of an allocation (Membrane's VariantSelector)."""
    return 100 * rate > 95 * allocation


def needs_less(rate: int, allocation: int) -> bool:
    """Whether 1.2 × a rate is still less than an allocation (Membrane's VariantSelector)."""
    return 12 * rate < 10 * allocation


class VariantRate:
    """The rate of one variant.

    Attributes:
        declared: What the ladder says, bit/s: the prior.
        believed: What decisions are made on, bit/s. It leaves `declared` only for a measured
            median outside the band, and never falls below half of it: a still picture moves
            again, and would then have nothing to move in.
        expiry: When the measurement is forgotten, seconds; None while there is none.
        suspected: What it proved to need before that was forgotten, bit/s, if that was more than
            declared: one window like it will do to believe it again. None once it has flowed as
            declared.
    """

    __slots__ = (
        "_memory",
        "_samples",
        "_tenths",
        "believed",
        "declared",
        "expiry",
        "suspected",
    )

    def __init__(self, declared: int, tenths: int = HEADROOM_TENTHS) -> None:
        self._tenths = tenths
        self.declared: int = declared
        self.believed: int = declared
        self.expiry: float | None = None
        self.suspected: int | None = None
        self._samples: tuple[int, ...] = ()
        self._memory = MEMORY

    @property
    def cost(self) -> int:
        """The allocation that carries the variant, headroom included, bit/s."""
        return self.believed * self._tenths // 10

    @property
    def silent(self) -> bool:
        """Whether nothing was sent for so long that more of it would say nothing new."""
        return self._samples[-SILENT_WINDOWS:] == (0,) * SILENT_WINDOWS

    def measured(self, size: float, duration: float, now: float) -> bool:
        """Take in one window.

        Args:
            size: Bytes sent in it.
            duration: Its length, seconds; at least `WINDOW`.
            now: Its end, seconds.

        Returns:
            Whether the believed rate changed.
        """
        self._samples = (*self._samples, int(8 * size / duration))[-SAMPLES:]
        missing = SAMPLES - len(self._samples)
        prior = [self.declared] * missing
        if self.suspected is not None:
            prior[: missing // 2] = [self.suspected] * (missing // 2)
        median = sorted((*self._samples, *prior))[SAMPLES // 2]
        fitting = with_headroom(self.believed)
        changed = False
        # An encoder ramps up after a switch: cheap is what was so for all windows, and still is.
        seen = not missing or self.silent
        cheaper = seen and needs_less(max(median, self._samples[-1]), fitting)
        if cheaper or needs_more(median, fitting):
            changed = self._believe(max(median, self.declared // 2, 1))
        if changed and self.believed > self.declared and self.suspected is not None:
            self._memory = min(2 * self._memory, LONGEST_MEMORY)
        if not missing and self.believed <= self.declared:
            self.suspected = None
            self._memory = MEMORY
        self.expiry = now + self._memory
        return changed

    def forget(self) -> bool:
        """Go back to the declared rate.

        Returns:
            Whether the believed rate changed.
        """
        if self.believed > self.declared:
            self.suspected = self.believed
        self._samples = ()
        self.expiry = None
        return self._believe(self.declared)

    def _believe(self, rate: int) -> bool:
        changed = rate != self.believed
        self.believed = rate
        return changed


class LadderRates:
    """The rates of all variants of a track, measured on the one that flows.

    Attributes:
        sent: Bytes sent since the window began. The sender adds to it, once a packet: that
            is all the hot path has to do.
        flowing: The variant that they count for; None while nothing flows.
        quiet: Nothing was sent for so long that no evaluation is due until `wake`.
    """

    __slots__ = ("_by_name", "_heard", "_tenths", "_window_start", "flowing", "quiet", "sent")

    def __init__(self, declared: Mapping[str, int], tenths: int = HEADROOM_TENTHS) -> None:
        self._tenths = tenths
        self._by_name = {name: VariantRate(rate, tenths) for name, rate in declared.items()}
        self.flowing: str | None = None
        self.sent: float = 0
        self._window_start = 0.0
        self._heard = False
        self.quiet: bool = False

    def rate(self, variant: str) -> int:
        """What a variant is believed to need, without headroom, bit/s."""
        return self._by_name[variant].believed

    def cost(self, variant: str) -> int:
        """The allocation that carries a variant, bit/s."""
        return self._by_name[variant].cost

    def believed(self, variants: Iterable[str]) -> dict[str, int]:
        """The ladder of these as it is believed to be: name to bit/s."""
        return {name: self.rate(name) for name in variants}

    def suspected(self, variant: str) -> bool:
        """Whether a variant was too dear before, and has not yet proved otherwise."""
        return self._by_name[variant].suspected is not None

    def redeclare(self, declared: Mapping[str, int]) -> None:
        """Change the ladder. What was measured on a variant survives if its declaration does."""
        self._by_name = {
            name: known
            if (known := self._by_name.get(name)) is not None and known.declared == rate
            else VariantRate(rate, self._tenths)
            for name, rate in declared.items()
        }

    def flow(self, variant: str | None, now: float) -> None:
        """Say what flows from now on. A window that mixes two variants measures neither."""
        if variant != self.flowing:
            self.flowing = variant
            self._begin(now)
            self._heard |= self.sent > 0
            self.sent = 0

    def wake(self, now: float) -> bool:
        """What was quiet is sent again: it is measured afresh, the silence before it is not.

        Returns:
            Whether a believed rate changed: of a picture that moves again the declared one is.
        """
        self._begin(now)
        return self._heard and self._by_name[str(self.flowing)].forget()

    def _begin(self, now: float) -> None:
        self._window_start = now
        self.quiet = False

    def evaluate(self, now: float) -> bool:
        """End the window if it is long enough, and forget what is too old.

        Returns:
            Whether a believed rate changed.
        """
        changed = False
        if self.flowing is not None and now >= self._window_start + WINDOW:
            # A late evaluation stretches the window; rounding must not shrink it.
            size, duration = self.sent, max(now - self._window_start, WINDOW)
            self._window_start, self.sent = now, 0
            # Before the very first packet nobody may be counting. After it, silence is a rate (A7).
            self._heard |= size > 0
            self.quiet = not self._heard
            if self._heard:
                flowing = self._by_name[self.flowing]
                changed = flowing.measured(size, duration, now)
                self.quiet = flowing.silent
        for name, rate in self._by_name.items():
            if name != self.flowing and rate.expiry is not None and now >= rate.expiry:
                changed |= rate.forget()
        return changed

    @property
    def next_evaluation(self) -> float:
        """When `evaluate` has something to do next, seconds; infinite for never."""
        due = [
            rate.expiry
            for name, rate in self._by_name.items()
            if name != self.flowing and rate.expiry is not None
        ]
        if self.flowing is not None and not self.quiet:
            due.append(self._window_start + WINDOW)
        return min(due, default=math.inf)
