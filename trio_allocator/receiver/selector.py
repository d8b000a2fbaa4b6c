"""Which variant of a track to send, and which allocation to ask for: a state machine, no I/O.

Every method takes an event and the time, and returns what is to be done about it, in order: the
allocator's part first, then the application's.

* The best variant that can be sent, up to the target, and whose cost (rate with headroom) the
  allocation carries. One that flows already may stay while its bare rate fits: the headroom is
  there for bursts. (Membrane's VariantSelector; the tolerance is new.)
* A switch is asked for once, and the old variant flows until the new one's key frame. Only
  stopping is immediate.
* A climb asks for the best variant at once, not for the next one as Membrane's does: with a
  ladder a request is an upper bound, and each switch in between would cost a key frame.
* What to ask for is decided once the allocator knows the ladder: it may grant more, or less, in
  the call that tells it, and a request decided before would give that back.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from .. import quantities
from ..messages import (
    AcceptDecrease,
    DecreaseAllocation,
    RejectDecrease,
    RequestAllocation,
    SetVariants,
)
from ..obstacle import Obstacle
from ..tracks import HEADROOM_TENTHS, Track
from .actions import RequestVariant, SelectorAction, SwitchReason
from .availability import Availability
from .claims import Claims
from .key_frames import KeyFrames
from .pause import Pause
from .rates import LadderRates

GRACE = 5.0
"""How long a variant that outgrew its allocation may flow on while more is asked for, seconds:
the shortest hold that the field keeps after a change."""

PAUSE_AFTER = 1.0
"""How long the lowest variant may flow on in the same case, seconds, where it may be paused: there is
nothing to step down to, and what it takes too much is taken from all others."""

PROBATION = 0.5
"""The same for one that was too dear before, seconds: nothing new is learned by waiting."""

RESUMED = 2.0
"""How long the lowest variant has to flow before a better one is asked for, where the resume before was
taken back, seconds: within the 2.5 s of G10. After every pause (on fifteen recorded links, ideal
estimates, N = 1, 3, 10) it costs .005 of the oracle's utility, .004 of the QoE and two seconds after
each outage."""

IDLE_GRACE = 1.0
"""How long an allocation is kept while nothing can be sent with it, seconds: a source that comes
back at once need not ask. A7 allows 2 s."""


@dataclass(frozen=True, slots=True)
class _Undecided:
    """What a request is to be decided for.

    Attributes:
        choice: What is to be sent; None for nothing.
        candidates: What it was chosen from.
        hoping: Nothing is sent only since all that was asked for stalls.
    """

    choice: str | None
    candidates: list[str]
    hoping: bool


class VariantSelector:
    """Chooses among the variants of one track.

    Before `registered` and after `ended` it takes in what it is told, but wants nothing. `now`
    is in seconds of any clock that does not run backwards; equal times are harmless. A variant
    that is not on the ladder and an allocation that is no rate raise `TypeError` or `ValueError`
    in the call, and change nothing. Call `ladder_told` right after each
    `SetVariants` that you carry out.

    Args:
        track: The track; its ladder declares the variants and their rates.
        target: The best variant wanted; None for the best there is. While neither it nor any
            below can be sent, the next one above is taken rather than none.
        pin: The only variant wanted, whatever the target: while it cannot be sent, or does not
            fit, nothing is. The allocator is told that the ladder consists of it. None: no pin.
        active: The variants that the source sends at first; None for the whole ladder.
        pausable: May give up its lowest variant when asked to decrease.
        bare_steps: Ask for bare rates, without headroom; bursts are the link's affair.

    Raises:
        TypeError, ValueError: An argument is not usable.
    """

    __slots__ = (
        "_available",
        "_claims",
        "_current",
        "_frames",
        "_idle_over",
        "_idle_since",
        "_ladder",
        "_outgrown_since",
        "_pausable",
        "_pause",
        "_reason_kept",
        "_tenths",
        "_undecided",
        "_wanted",
        "rates",
    )

    def __init__(
        self,
        track: Track,
        *,
        target: str | None = None,
        pin: str | None = None,
        active: Collection[str] | None = None,
        pausable: bool = False,
        bare_steps: bool = False,
    ) -> None:
        self._tenths = 10 if quantities.flag("bare_steps", bare_steps) else HEADROOM_TENTHS
        self._available = Availability(track, target, active, pin)
        self._pausable = quantities.flag("pausable", pausable)
        self._claims = Claims()
        self._frames = KeyFrames()
        self._pause = Pause()
        self._current: str | None = None
        self._wanted: str | None = None
        self._idle_since: float | None = None
        self._idle_over = False
        self._outgrown_since: float | None = None
        self._reason_kept: tuple[SwitchReason, str | None] | None = None
        self._ladder: dict[str, int] = dict(track.variants)
        self._undecided: _Undecided | None = None
        self.rates: LadderRates = LadderRates(track.variants, self._tenths)
        """The measurement: the sender adds its bytes to ``rates.sent``."""

    @property
    def track(self) -> Track:
        """The track, with the ladder as declared."""
        return self._available.track

    @property
    def target(self) -> str | None:
        """The best variant wanted; None for the best there is."""
        return self._available.target

    @property
    def pin(self) -> str | None:
        """The only variant wanted; None for no pin."""
        return self._available.pin

    @property
    def current(self) -> str | None:
        """The variant that flows; None while paused or before the first key frame."""
        return self._current

    @property
    def queued(self) -> str | None:
        """The variant that was asked for and has not come yet."""
        return self._wanted if self._wanted != self._current else None

    @property
    def stalled(self) -> bool:
        """Nothing comes: a key frame is still asked for, but nothing is held for it."""
        return self._wanted is not None and self._frames.stalled(self._wanted)

    @property
    def obstacle(self) -> Obstacle | None:
        """What stands between it and its next variant, as far as only the receiver knows."""
        wanted = self._wanted
        above = [
            variant
            for variant in self._available.candidates()
            if wanted is None or self._available.rank(variant) > self._available.rank(wanted)
        ]
        if self.stalled or (above and self._frames.stalled(above[0])):
            return Obstacle.STALLED
        if above and self.rates.rate(above[0]) > self.track.variants[above[0]]:
            return Obstacle.DEAR
        return None

    @property
    def allocation(self) -> int | None:
        """What is held, as far as known here, bit/s; None while not registered."""
        return self._claims.allocation

    @property
    def claim(self) -> int:
        """The allocation asked for last, bit/s."""
        return self._claims.claim

    @property
    def next_evaluation(self) -> float:
        """When `evaluate` is due, seconds; infinite while only an event can change anything."""
        if self._claims.allocation is None:
            return math.inf
        due = [self.rates.next_evaluation, self._frames.next_due, self._pause.next_due]
        if self._claims.climb_from > -math.inf:
            due.append(self._claims.climb_from)
        if self._outgrown_since is not None:
            due.append(self._outgrown_since + self._tolerance(self._candidates()))
        if self._idle_since is not None and not self._idle_over:
            due.append(self._idle_since + IDLE_GRACE)
        return min(due)

    def initial_bandwidth(self) -> int:
        """What to register with, bit/s: the least that can be sent; nothing with a pin."""
        if self.pin is not None:
            return 0
        return min(map(self.rates.cost, self._available.sendable_ones()), default=0)

    def registered(self, allocation: float, now: float) -> tuple[SelectorAction, ...]:
        """The registration has begun, holding `allocation` bit/s, with the ladder as declared."""
        self._claims.registered(quantities.bitrate("allocation", allocation))
        self._ladder = dict(self.track.variants)
        self._pause = Pause()
        self._undecided = None
        self._idle_since, self._idle_over = None, False
        self.rates.flow(None, now)
        self.rates.flow(self._current, now)
        return self._react(now, SwitchReason.AUTOMATIC, comply=True)

    def granted(self, allocation: float, now: float) -> tuple[SelectorAction, ...]:
        """The allocation is another one from now on, for whatever reason: comply."""
        granted = quantities.bitrate("allocation", allocation)
        held = self._claims.allocation
        if held is None:
            return ()
        return self._react(now, SwitchReason.GRANTED, comply=self._claims.granted(granted, held))

    def ladder_told(self, allocation: float, now: float) -> tuple[SelectorAction, ...]:
        """The allocator knows the new ladder, and what is held now is `allocation` bit/s."""
        undecided, self._undecided = self._undecided, None
        if quantities.bitrate("allocation", allocation) != self._claims.allocation:
            return self.granted(allocation, now)
        return () if undecided is None else self._claim(undecided, now)

    def answer(self, request: DecreaseAllocation) -> AcceptDecrease | RejectDecrease:
        """Decide on a decrease: accept if anything can go.

        It goes to the best variant within the limit; to nothing if only that is within it and
        pausing is allowed, or nothing can be sent; else as low as it can. Nothing changes here: once the acceptance is
        known to count, tell `lowered`.

        Returns:
            The answer; an acceptance names the lower allocation.

        Raises:
            TypeError: `request` is not a request.
        """
        if not isinstance(request, DecreaseAllocation):
            raise TypeError(f"request must be a DecreaseAllocation, not {request!r}")
        choices = [self.rates.cost(variant) for variant in self._candidates()]
        if self.track.variants and (self._pausable or self._idle_since is not None):
            choices.append(0)
        held = min(request.allocation, self._claims.allocation or 0)
        lower = [choice for choice in choices if choice < held]
        if not lower:
            return RejectDecrease(request.request_id, request.receiver_id)
        bitrate = max((rate for rate in lower if rate <= request.limit), default=min(lower))
        return AcceptDecrease(request.request_id, request.receiver_id, bitrate)

    def lowered(self, allocation: float, now: float) -> tuple[SelectorAction, ...]:
        """The acceptance of a decrease to `allocation` bit/s counted: that is held and claimed."""
        bitrate = quantities.bitrate("allocation", allocation)
        if self._claims.allocation is None:
            return ()
        self._claims.claim = bitrate
        return self.granted(bitrate, now)

    def ended(self, now: float) -> None:
        """The registration is over: nothing is held, nothing flows, nothing is wanted."""
        self._claims.allocation = None
        self._wanted = None
        self._frames.wait_for(None, now)
        self._set_current(None, now)

    def evaluate(self, now: float) -> tuple[SelectorAction, ...]:
        """Take in what was measured, and how long. Due at `next_evaluation`; earlier is harmless."""
        if self._claims.allocation is None:
            return ()
        self.rates.evaluate(now)
        wanted = self._wanted
        repeat = self._frames.evaluate(now)
        cause = None
        if wanted is not None and wanted != self._current and self._frames.stalled(wanted):
            cause = SwitchReason.STALLED
        actions = self._react(now, cause)
        if repeat and self._wanted == wanted is not None:
            return (*actions, RequestVariant(wanted, SwitchReason.REPEATED))
        return actions

    def woken(self, now: float) -> tuple[SelectorAction, ...]:
        """A packet was sent while `rates` were quiet: a picture moves again."""
        self.rates.wake(now)
        return self._react(now, None)

    def variant_switched(self, variant: str | None, now: float) -> tuple[SelectorAction, ...]:
        """This variant flows from now on (None: nothing does), asked for or not."""
        hoped = variant is not None and variant == self._wanted
        if variant is not None:
            self._available.known("variant", variant)
            self._frames.came(variant)
            if self.queued is None:
                self._wanted = variant
        # Tolerance is for a variant that has outgrown its allocation, not for one that comes
        # uninvited; and reporting the same one again says nothing new.
        uninvited = variant != self._current and not (hoped and self._idle_since is not None)
        self._set_current(variant, now)
        return self._react(now, SwitchReason.AUTOMATIC, comply=uninvited)

    def variant_active(self, variant: str, now: float) -> tuple[SelectorAction, ...]:
        """The source sends this variant (again): it has not stalled, either."""
        return self.variants_active((variant,), now)

    def variants_active(self, variants: Collection[str], now: float) -> tuple[SelectorAction, ...]:
        """The source sends all of these (again): to the best of them, in one step."""
        self._available.active |= {self._available.known("variant", one) for one in variants}
        for variant in variants:
            self._frames.came(variant)
        return self._changed(now, SwitchReason.AUTOMATIC)

    def variant_inactive(self, variant: str, now: float) -> tuple[SelectorAction, ...]:
        """The source has stopped this variant: away from it at once."""
        return self.variants_inactive((variant,), now)

    def variants_inactive(self, variants: Iterable[str], now: float) -> tuple[SelectorAction, ...]:
        """The source has stopped all of these: away from them, in one step."""
        self._available.active -= {self._available.known("variant", one) for one in variants}
        return self._changed(now, SwitchReason.INACTIVE)

    def mute(self, variant: str | None, now: float) -> tuple[SelectorAction, ...]:
        """Send this variant no more, or nothing of the track (None), until unmuted."""
        self._available.set_muted(variant, muted=True)
        return self._changed(now, SwitchReason.MUTED)

    def unmute(self, variant: str | None, now: float) -> tuple[SelectorAction, ...]:
        """Take back `mute` for this variant, or for the track (None)."""
        self._available.set_muted(variant, muted=False)
        actions = self._changed(now, SwitchReason.UNMUTED)
        if variant is not None and variant != self._wanted:
            self._reason_kept = (SwitchReason.UNMUTED, variant)
        return actions

    def set_target(self, target: str | None, now: float) -> tuple[SelectorAction, ...]:
        """Choose the best variant wanted; None for the best there is."""
        self._available.target = None if target is None else self._available.known("target", target)
        return self._changed(now, SwitchReason.TARGET_CHOSEN)

    def set_pin(self, pin: str | None, now: float) -> tuple[SelectorAction, ...]:
        """Want this variant and nothing else from now on, whatever the target; None to unpin."""
        self._available.pin = None if pin is None else self._available.known("pin", pin)
        return self._changed(now, SwitchReason.TARGET_CHOSEN)

    def set_pausable(self, pausable: bool) -> None:
        """Allow or forbid giving up the lowest variant when asked to decrease.

        Raises:
            TypeError: It is not a bool.
        """
        self._pausable = quantities.flag("pausable", pausable)

    def set_variants(self, variants: Mapping[str, float], now: float) -> tuple[SelectorAction, ...]:
        """Replace the ladder: variant name to declared rate, bit/s.

        New variants count as active. A target or pin that is gone is none.

        Raises:
            TypeError, ValueError: A rate is not a positive number of bit/s.
        """
        self._available.set_variants(variants)
        gone = self._wanted is not None and self._wanted not in self.track.variants
        self.rates.redeclare(self.track.variants)
        self._frames.keep(frozenset(self.track.variants))
        return self._changed(now, SwitchReason.INACTIVE if gone else SwitchReason.AUTOMATIC)

    def _candidates(self) -> list[str]:
        """What could be sent if bandwidth were without end, and does not stall, ascending."""
        return self._available.candidates(self._frames.stalled)

    def _changed(self, now: float, cause: SwitchReason) -> tuple[SelectorAction, ...]:
        """What can be sent has changed, so that an earlier disappointment says nothing."""
        self._claims.changed()
        if self._current is not None and not self._available.sendable(self._current):
            self._set_current(None, now)
        return self._react(now, cause)

    def _react(
        self, now: float, cause: SwitchReason | None, *, comply: bool = False
    ) -> tuple[SelectorAction, ...]:
        held = self._claims.allocation
        if held is None:
            return ()
        candidates = self._candidates()
        choice = self._choice(candidates, held, now, comply=comply)
        # Nothing is held for one that has stalled; but if nothing else comes, it may yet. What flows
        # in its place ends first, for nothing is held for that, either.
        hoped = self._hoped(candidates) if choice is None and self._current is None else None
        switch = self._switch(choice or hoped, candidates, cause, now)
        self._frames.wait_for(self.queued, now, patient=choice is None)
        if not self.track.variants:
            return switch
        undecided = _Undecided(choice, candidates, hoping=hoped is not None)
        # The books first: a callback of the application's that fails must not leave them wrong.
        if told := self._new_ladder():
            self._undecided = undecided
            return (*told, *switch)
        return (*self._claim(undecided, now), *switch)

    def _hoped(self, candidates: list[str]) -> str | None:
        """The one that may yet come, while nothing can be sent and all that were asked stalled."""
        available = self._available.candidates()
        if not candidates:
            return available[0] if available else None
        return self._wanted if self.stalled and self._wanted in available else None

    def _switch(
        self,
        wanted: str | None,
        candidates: list[str],
        cause: SwitchReason | None,
        now: float,
    ) -> tuple[RequestVariant, ...]:
        """Ask for another variant than before, if it is another one."""
        before, self._wanted = self._wanted, wanted
        by_allocator = cause is None or cause is SwitchReason.GRANTED
        if wanted is not None:
            reason = self._reason(before, wanted, candidates, cause)
            if self._pause.lasts:
                if self._pause.follows_another:
                    self._claims.climb_from = now + RESUMED
                self._pause.over(now)
        elif candidates:
            reason = SwitchReason.LOW_BANDWIDTH
            if before is not None and by_allocator:
                self._pause.began(now)
        else:
            known = cause in {SwitchReason.MUTED, SwitchReason.STALLED}
            reason = cause if cause and known else SwitchReason.INACTIVE
            self._pause.forget()
        if wanted is None and candidates and cause is not None and not by_allocator:
            self._reason_kept = (cause, None)  # it takes a grant to follow, and yet this is why
        if wanted is None:
            self._set_current(None, now)
        return () if wanted == before else (RequestVariant(wanted, reason),)

    def _claim(self, undecided: _Undecided, now: float) -> tuple[RequestAllocation, ...]:
        """What to ask the allocator for."""
        choice, candidates = undecided.choice, undecided.candidates
        held = self._claims.allocation or 0
        if choice is not None:
            self._idle_since = None
            self._idle_over = False
            rate, need = self.rates.rate(choice), self.rates.cost(choice)
        else:
            if self._idle_since is None:
                self._idle_since = now
            # One that stalled had its grace already.
            self._idle_over |= undecided.hoping or not held or now >= self._idle_since + IDLE_GRACE
            rate = need = 0 if self._idle_over else held
        climb = None
        if candidates and candidates[-1] != choice:
            # What was paused begins at its lowest, and not before its time.
            best = candidates[0] if self._pause.lasts else candidates[-1]
            climb = self.rates.cost(best) if self._pause.may_end(now) else None
        return self._claims.requests(held, rate, need, climb, now)

    def _new_ladder(self) -> tuple[SetVariants, ...]:
        """Tell the allocator which variants are of use, as measured, if it does not know.

        One that stalled is of none beside one that flows: a grant for it would be given back at
        once, and others be lowered for it. Where nothing flows it is on the ladder: else the next
        one above would be a lowest step, for which others give all that they have above theirs.
        While no variant is of use, the ladder stays: nothing is asked for then.
        """
        useful = self._available.sendable_ones()
        if self._current is not None:
            useful = [variant for variant in useful if not self._frames.stalled(variant)]
        ladder = self.rates.believed(useful)
        if not ladder or ladder == self._ladder:
            return ()
        self._ladder = ladder
        return (SetVariants(ladder),)

    def _choice(self, candidates: list[str], held: int, now: float, *, comply: bool) -> str | None:
        best = next((v for v in reversed(candidates) if self.rates.cost(v) <= held), None)
        outgrown_since, self._outgrown_since = self._outgrown_since, None
        current = self._current
        if current not in candidates:
            return best
        if best is not None and candidates.index(best) >= candidates.index(current):
            return best
        if self.rates.rate(current) * self._tenths <= held * HEADROOM_TENTHS:
            return current
        leaving = comply or self.queued is not None
        if best is None and held and not self._pausable and (self.stalled or not leaving):
            return current  # with nothing to step down to, too much is better than nothing
        # Already leaving, or told to: no tolerance. Otherwise it outgrew its allocation by
        # itself, and more takes a moment to come.
        if leaving:
            return best
        since = now if outgrown_since is None else outgrown_since
        if now >= since + self._tolerance(candidates):
            return best
        self._outgrown_since = since
        return current

    def _tolerance(self, candidates: list[str]) -> float:
        """How long the one that flows may need more than is held, seconds."""
        if self._current is not None and self.rates.suspected(self._current):
            return PROBATION
        return PAUSE_AFTER if self._current == candidates[0] else GRACE

    def _reason(
        self, before: str | None, wanted: str, candidates: list[str], cause: SwitchReason | None
    ) -> SwitchReason:
        kept, self._reason_kept = self._reason_kept, None
        if cause not in (None, SwitchReason.GRANTED, SwitchReason.AUTOMATIC):
            return cause
        if self._pause.lasts or self._pause.resuming:
            return SwitchReason.RESUMED
        if wanted in candidates and before in candidates[candidates.index(wanted) + 1 :]:
            return SwitchReason.LOW_BANDWIDTH
        if kept is not None and cause is not SwitchReason.AUTOMATIC and kept[1] in (None, wanted):
            return kept[0]
        return cause or SwitchReason.AUTOMATIC

    def _set_current(self, variant: str | None, now: float) -> None:
        self._current = variant
        if variant is not None:
            self._pause.resuming = False
        self.rates.flow(variant, now)
