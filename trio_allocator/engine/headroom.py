"""How far raises may fill what was estimated (G2, G9, G10).

A connection that is filled up to a volatile estimate is soon overused, and then everybody's picture
suffers. So a raise has to leave some of the estimate free,

    trusted = max(max(carried, s × estimate × exp(−falls), 5/6 × lowest of 2.5 s) × exp(−failures),
                  s × lowest of 10 s)

where s is 1 for a number alone, which is taken at its word, and less where its source also tells
what was `carried`. The terms with a lowest estimate count only while the estimate does not fall (P1):
what every estimate of the last seconds would have borne is no evidence then.

A source that tells more `carried` than it estimates hears nothing: its estimates fall for want of
feedback, and such a fall is none of the link's, nor does it prove a raise wrong. After an outage three
quarters of the rate are back within 3 s that way (docs/estimation.md, "Silence").

Caution is for better pictures, not for whether there is one: for raises to lowest steps, falls do not count
once the estimate is steady, and failures count half. Both exponents decay: `falls` grows with each fall of
the estimate, `failures` with each raise that had to be taken back; those that follow each other are
remembered longer and longer, so that what does not work is tried ever more rarely. On a calm estimate both
are 0, and raises are made at once; a step that fits with a fifth to spare waits longer than 2.5 s only
after failures, and no step that every estimate would have carried waits longer than 10 s. Decreases are
judged by the whole estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .settings import NEVER
from .sliding_minimum import SlidingMinimum

RAISE_SHARE = 0.88
"""Raises may fill this part of an estimate whose source tells what was carried, or what was carried
(G2). The estimate of a sender that is not limited by the network lies above what was seen to fit.
Measured on eight links, real estimates: .95 .92 .88 .85 of it give 9.9 8.4 7.4 6.7 switches a minute."""

SPARE = 5 / 6
"""A step that fits with a fifth to spare is not kept back by falls for longer than `PROMPT` (G10)."""

PROMPT = 2.5
"""See `SPARE`, s."""

LONGEST_WAIT = 10.0
"""No raise is kept back for longer if the estimate would carry it all the time, s (G9)."""

SAMPLE = 1.0
"""Falls of the estimate are taken over no less than this, s: noise of many estimates a second
would otherwise count many times."""

WORST_FALL = 1.0
"""A fall to nothing counts no more than this, in ln."""

FALL_WEIGHT = 0.4
"""How much of a fall, in ln, is kept free after it. Fifteen links, N = 1, 3, 10 (U/O, QoE, switches a
minute): .873 .473 5.8 with ideal estimates, .818 .459 5.6 with real ones."""

FALLS_FOR = 9.5
"""Time constant with which falls are forgotten, s."""

FAILURE_WEIGHT = 0.2
"""How much is kept free after a raise that was taken back, in ln: a fifth."""

LOWEST_WEIGHT = 0.5
"""What a failure counts for raises to lowest steps; a fall does not count."""

FAILURES_FOR = 20.0
"""Time constant with which a failure is forgotten, s; twice as long with each further one in a row."""

LONGEST_FAILURES = 160.0
"""The longest time constant, s. With 20 s for all of them, estimates of 1.3 and .4 Mbit/s in turn
made two cameras switch 30 times a minute for ever; so it is 20 times in the first minute and then 4."""

MOST_FAILURES = 3.0
"""The most that is kept free for failures, in ln: all but a twentieth."""

FAILED_WITHIN = 10.0
"""A raise was taken back if within this time, s, somebody has to be lowered and would not have to be
without it."""

STEP = 0.05
"""What is kept free is a multiple of this, in ln: rates that may be anything do not creep upwards,
and in the end nothing is kept."""

PRECISION = 0.1
"""A raise that time alone allows is made this much late at most, s."""


class Headroom:
    """Knows how far raises may go.

    Args:
        cautious: Falls of the estimate count; failures do in any case.

    Attributes:
        carried: What the source of the estimates has lately seen the connection carry, bit/s; None
            if it does not say so.
        failed: How many raises were taken back.
        raised_at: When anybody was raised by a step last, s.
    """

    __slots__ = (
        "_answer", "_asked_at", "_cautious", "_estimate", "_failures", "_failures_at", "_falls",
        "_falls_at", "_in_a_row", "_lows", "_raise_pending", "_sampled", "_steady_at",
        "_without_raises", "carried", "failed", "raised_at",
    )  # fmt: skip

    def __init__(self, *, cautious: bool) -> None:
        self.failed: int = 0
        self.raised_at: float = -NEVER
        self._cautious = cautious
        self._estimate: int = 0
        self.carried: int | None = None
        self._lows = SlidingMinimum(LONGEST_WAIT)
        self._falls = 0.0
        self._falls_at = -NEVER
        self._sampled = 0
        self._failures = 0.0
        self._failures_at = -NEVER
        self._in_a_row = 0
        self._raise_pending = False
        self._without_raises = 0
        self._steady_at = -NEVER
        self._asked_at = -NEVER
        self._answer = 0

    def note(
        self, now: float, estimate: int, carried: int | None, *, steady_at: float = -NEVER
    ) -> None:
        """An estimate has come.

        Args:
            now: s.
            estimate: bit/s.
            carried: What was lately carried, bit/s; None if the source does not say so.
            steady_at: When the estimate will have stopped falling, if it stays, s.
        """
        self._asked_at = -NEVER
        self._steady_at = steady_at if self._cautious else -NEVER
        before, self._estimate, self.carried = self._estimate, estimate, carried
        if self._falls_at > -NEVER:
            self._lows.add(now, before)  # it was in force until now
        self._lows.add(now, estimate)
        if self._falls_at == -NEVER:
            self._falls_at, self._sampled = now, estimate
        elif self._cautious and now - self._falls_at >= SAMPLE:
            fall = 0.0
            if not self._is_unheard:
                fall = math.log(max(self._sampled, 1) / max(estimate, 1))
            self._falls *= math.exp((self._falls_at - now) / FALLS_FOR)
            self._falls += FALL_WEIGHT * min(max(0.0, fall), WORST_FALL)
            self._falls_at, self._sampled = now, estimate

    @property
    def _is_unheard(self) -> bool:
        """The source hears nothing: it tells more carried than it estimates."""
        return self.carried is not None and self.carried > self._estimate

    def raised(self, now: float, committed: int) -> None:
        """Somebody is granted a step, or more.

        Args:
            now: s.
            committed: What was allocated before, bit/s.
        """
        proved = now - self.raised_at >= FAILED_WITHIN
        if self._raise_pending and proved:
            self._in_a_row = 0  # the one before has proved right
        if not self._raise_pending or proved:
            self._without_raises = committed
        self.raised_at = now
        self._raise_pending = True

    def lowered(
        self, now: float, raised_at: float, usable: int, unpaused: Callable[[], int]
    ) -> None:
        """Somebody was lowered since more was allocated than the estimate allows.

        Args:
            now: s.
            raised_at: When it was raised by a step last, s. One that has long held what it gives
                now does not go up and down: then no failures follow each other.
            usable: What the allocations may come to, bit/s. Where that is less than they came to
                before the last raises, the link has fallen, and no raise was wrong.
            unpaused: What they come to with everybody at the lowest, bit/s, if that pauses nobody.
                Were they no more than that before the last raises, nobody could have been lowered
                without those. Somebody who has to pause says that the link has fallen.
        """
        self._asked_at = -NEVER
        if self._is_unheard:
            return
        recent = self._raise_pending and now - self.raised_at < FAILED_WITHIN
        if recent and self._without_raises <= max(usable, unpaused()):
            self.failed += 1
            self._failures = min(self._failures_now(now) + FAILURE_WEIGHT, MOST_FAILURES)
            self._failures_at = now
            self._in_a_row += 1
        if now - raised_at >= FAILED_WITHIN:
            self._in_a_row = 0
        self._raise_pending = False

    def trusted(self, now: float) -> int:
        """How far raises may fill the connection now, bit/s; at most the estimate."""
        if self._asked_at != now:  # it is asked several times in one event
            self._asked_at, self._answer = now, self._trusted(now)
        return self._answer

    def for_lowest(self, now: float) -> int:
        """How far raises to lowest steps may fill the connection, bit/s; at least as far as others."""
        trusted = self.trusted(now)
        if now < self._steady_at:
            return trusted
        share = 1.0 if self.carried is None else RAISE_SHARE
        kept = LOWEST_WEIGHT * self._failures_now(now)
        return max(trusted, int(share * self._estimate * math.exp(-kept)))

    def _trusted(self, now: float) -> int:
        estimate, carried = self._estimate, self.carried
        falls, failures = self._falls_now(now), self._failures_now(now)
        if carried is None and not falls and not failures:
            return estimate
        share = 1.0 if carried is None else RAISE_SHARE
        much = share * estimate * math.exp(-falls)
        falling = now < self._steady_at
        if falls and not falling:
            much = max(much, SPARE * self._lowest(now, PROMPT))
        much *= math.exp(-failures)
        if (falls or failures) and not falling:
            much = max(much, share * self._lowest(now, LONGEST_WAIT))
        if carried is not None:
            much = max(much, carried * math.exp(-failures))
        return min(estimate, int(much))

    def _lowest(self, now: float, within: float) -> int:
        lowest = self._lows.lowest(now, within)
        return self._estimate if lowest is None else min(lowest, self._estimate)

    def _falls_now(self, now: float) -> float:
        return _decayed(self._falls, now - self._falls_at, FALLS_FOR)

    def _failures_now(self, now: float) -> float:
        return _decayed(self._failures, now - self._failures_at, self._failures_for)

    @property
    def _failures_for(self) -> float:
        return float(min(FAILURES_FOR * 2 ** max(0, self._in_a_row - 1), LONGEST_FAILURES))

    def enough(self, total: int) -> int:
        """The estimate that would bear raises to this much when nothing is kept back, bit/s."""
        if self.carried is None or total <= self.carried:
            return total
        return math.ceil(total / RAISE_SHARE)

    def clear_at(self, now: float) -> float:
        """When nothing will be kept back any more for falls or failures, if none come, s."""
        ends = [now]
        for amount, at, lasting in (
            (self._falls, self._falls_at, FALLS_FOR),
            (self._failures, self._failures_at, self._failures_for),
        ):
            if amount > STEP:
                ends.append(at + lasting * math.log(amount / STEP))
        carried_at = self._lows.above_at(self._estimate) + LONGEST_WAIT
        return min(max(ends), max(now, carried_at, self._steady_at))

    def lowest_rises_at(self, now: float) -> float:
        """When raises to lowest steps may fill more, if the estimate stays, s; infinite if never."""
        if now < self._steady_at:
            return self._steady_at
        kept = self._failures_now(now)
        if not kept:
            return NEVER
        return self._failures_at + self._failures_for * math.log(self._failures / kept)

    def reaches_at(self, now: float, total: int) -> float:
        """When raises may fill this much, if the estimate stays, s; infinite if never."""
        clear = self.clear_at(now)
        if self._trusted(clear) < total:
            return NEVER
        early, late = now, clear
        while late - early > PRECISION:  # it rises all the time
            middle = (early + late) / 2
            early, late = (early, middle) if self._trusted(middle) >= total else (middle, late)
        return late


def _decayed(amount: float, age: float, lasting: float) -> float:
    if not amount:
        return 0.0
    return STEP * int(amount * math.exp(-age / lasting) / STEP - 1e-9)  # at its end it is over
