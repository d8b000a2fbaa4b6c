"""When to probe the connection with padding, how far, and when to give up."""

from __future__ import annotations

from attrs import frozen

from ..settings import NEVER, Settings
from .padding import Meter, Padding
from .padding_share import GRAIN, PaddingShare
from .probe_status import TRANSITIONS, ProbeEvent, ProbeStatus

TARGET_FACTOR = 2
"""A probe never aims above this many times the estimate (P4; LiveKit and libwebrtc probe to 2 ×)."""

TARGET_FLOOR = 200_000
"""A probe may aim this high whatever the estimate, bit/s (P4; the reference's increment)."""

TICK_BYTES = 3_750
"""A tick that owes less than this is worth waiting for: 100 ms at 300 kbit/s."""

COARSEST = 10
"""Ticks are at most this many times the shortest."""

FRUITFUL = 0.5
"""A probe is fruitful if it brought this part of what the step lacked (P4)."""

FAR = 1.08
"""A step further away than this many times what raises may fill lacks no more than that: estimates that
ramp by 8 % a second (draft-ietf-rmcat-gcc-02) take many times the patience to come half-way to it."""

ANOTHER_LINK = 1.25
"""What was reached at more than this many times what raises may fill now, was another link."""

PAUSE_GROWTH = 1.5
"""Growth of the pause after each fruitless probe (LiveKit: 1.5)."""

PROOF = 1.06
"""Where a probe is a proof, it aims this many times as high as the step (G2): what the source says was
carried keeps a margin for headers and bursts, and so does this, with a hundredth to spare."""

CREEP = 1.15
"""Where the source says what was carried, a probe goes no further above that than this many times, and
further as that follows: an estimate of a sender that is not limited by the network may be half as much
again as the link, and padding up to it fills the queue before anybody knows."""

PROVING = 2.0
"""A raise has to carry for so long before anything is probed, s (P4). Its key frame and a probe
together would fill the queue, and take the raise back."""

FREE_TIME = 60.0
"""While the step stays out of reach, padding has a limit from so long after the first probe on, s."""

MOST_PADDING = 0.1
"""... this part of all that was sent in the last minute (P4)."""


@frozen
class Demand:
    """What the books say about probing at an instant: all that the prober knows of the engine.

    The engine hands it a fresh one after every event, and at every wake-up.

    Attributes:
        estimate: The estimate, bit/s; None while it is unknown.
        wanted: The total rate that would satisfy the next useful step, bit/s: what is committed,
            and the smallest step waited for that is not free. A step that the estimate holds and
            the headroom for raises does not (G2) counts: seen to be carried, it is granted. 0 if
            nobody waits for more than is free.
        allowed: Not in overuse, nothing being negotiated, the estimate live and not falling.
        fell: The estimate is falling, or below what is committed.
        stuck: An estimate has come once, a claim waits, and nobody who waits holds anything.
        most: No target is above this, bit/s.
        committed: What is allocated, bit/s.
        free_to: What raises may fill now, bit/s: of the estimate, what they may rely on (G2).
        carried: What the source of the estimates has lately seen carried, bit/s: media and padding
            that got through are a proof. None if it does not say so.
        raised_at: When anybody was raised by a step last, s; minus infinity before that.
    """

    estimate: int | None
    wanted: int
    allowed: bool
    stuck: bool
    fell: bool = False
    most: float = NEVER
    committed: int = 0
    free_to: int = 0
    carried: int | None = None
    raised_at: float = -NEVER


class Prober:
    """Decides what the padding account is to follow.

    Args:
        settings: Patience, pauses, ticks and the floor.
        meter: Counts the media sent.
        now: When it starts.
    """

    def __init__(self, settings: Settings, meter: Meter, now: float) -> None:
        self.status: ProbeStatus = ProbeStatus.IDLE
        self.padding: Padding = Padding(meter, settings.padding_packet)
        self.next_tick: float = NEVER
        self.fruitless: int = 0
        self.started: int = 0
        self.escapes: int = 0
        self._settings = settings
        self._meter = meter
        self._share = PaddingShare(meter, self.padding)
        self._now = now
        # The probe that runs, or was interrupted lately: since when, and from where it counts.
        self._began_at = now
        self._began_from = 0
        self._left_at = -NEVER
        # What is known of a step that no probe has reached.
        self._highest = 0
        self._has_failed = False
        self._failed_for = 0
        self._first_at = now
        self._pause = settings.probe_pause
        self._rest_until = now
        self._phase_until = NEVER
        self._media = 0

    @property
    def target(self) -> int:
        """The rate that media and padding together follow, bit/s; 0 while there is no probe."""
        return self.padding.target

    @property
    def wake_at(self) -> float:
        """When the status may change without any event."""
        match self.status:
            case ProbeStatus.PROBING:
                return self._began_at + self._settings.probe_patience
            case ProbeStatus.RESTING:
                return self._rest_until
            case ProbeStatus.LISTENING | ProbeStatus.ESCAPING:
                return self._phase_until
            case _:
                return NEVER

    def review(self, now: float, demand: Demand) -> None:
        """Take over what the books say: start, follow, give up, stop."""
        self._now = now
        self._share.note(now)
        self._remember(demand)
        self._rest_until = max(self._rest_until, demand.raised_at + PROVING)
        able = self.padding.able
        wanted = able and demand.wanted > 0 and demand.allowed
        if self.status is ProbeStatus.PROBING and demand.fell:
            # It has met the end of the link. The first time, others may have been the cause.
            self._give_up(demand, None if self._has_failed else PROVING)
        if wanted and self._is_rested():
            if self._enter(ProbeEvent.WANTED):
                self._begin(demand)
            if now >= self._began_at + self._settings.probe_patience or self._has_spent():
                self._give_up(demand)
        if not (wanted and now >= self._rest_until):
            if able and demand.stuck:
                self._enter(ProbeEvent.STUCK)
            else:
                self._enter(ProbeEvent.TOO_SOON if wanted else ProbeEvent.UNWANTED)
        self._escape()
        self._aim(demand)

    def _is_rested(self) -> bool:
        """Whether a probe may begin, or go on."""
        if self._now < self._rest_until:
            return False
        if self.status is not ProbeStatus.PROBING and self._has_spent(MOST_PADDING / 2):
            self._rest_until = self._now + GRAIN
            return False
        return True

    def _has_spent(self, share: float = MOST_PADDING) -> bool:
        """Whether padding has used up its share for a step that no probe has reached."""
        late = self._has_failed and self._now >= self._first_at + FREE_TIME
        return late and self._share.exceeds(share)

    def _begin(self, demand: Demand) -> None:
        """Begin a probe, or go on with one that was interrupted: that renews no patience."""
        pause = self._now - self._left_at
        if pause < self._settings.probe_pause and not self._is_fruitful(demand):
            self._began_at += pause
            return
        self.started += 1
        if not self._has_failed:
            self._first_at = self._now
            self._highest = 0
        self._count_from(demand)

    def _count_from(self, demand: Demand) -> None:
        """Judge the probe from now on: by what it brings beyond what was reached before."""
        self._began_at = self._now
        self._highest = self._began_from = max(demand.free_to, self._highest)

    def _is_fruitful(self, demand: Demand) -> bool:
        """Whether it has come nearer to the step, by at least half of what lacked."""
        return demand.free_to >= _progress(self._began_from, demand.wanted)

    def _enter(self, event: ProbeEvent) -> bool:
        following = TRANSITIONS[self.status].get(event)
        if following is None:
            return False
        if self.status is ProbeStatus.PROBING:
            self._left_at = self._now
        self.status = following
        if following is ProbeStatus.LISTENING:
            self._phase_until = self._now + self._settings.escape_pause
            self._media = self._meter.media
        elif following is ProbeStatus.ESCAPING:
            self.escapes += 1
            self._phase_until = self._now + self._settings.escape_duration
            self._media = self._meter.media
        return True

    def _remember(self, demand: Demand) -> None:
        """Progress renews patience, and ends the memory of what failed; so does a nearer step."""
        most = int(ANOTHER_LINK * demand.free_to)
        self._highest = min(self._highest, most)
        self._began_from = min(self._began_from, most)
        if self._has_failed and demand.wanted:
            progress = _progress(self._highest, self._failed_for)
            if demand.free_to >= progress or demand.wanted < min(progress, self._failed_for):
                self._has_failed = False
                self._pause = self._settings.probe_pause
                self._rest_until = self._now
        if self.status is ProbeStatus.PROBING:
            if demand.wanted and self._is_fruitful(demand):
                self._count_from(demand)
            self._highest = max(self._highest, demand.free_to)

    def _give_up(self, demand: Demand, pause: float | None = None) -> None:
        self._enter(ProbeEvent.FRUITLESS)
        self.fruitless += 1
        self._has_failed = True
        self._failed_for = demand.wanted
        self._rest_until = self._now + (self._pause if pause is None else pause)
        self._left_at = -NEVER  # the next probe is a new one
        self._pause = min(self._pause * PAUSE_GROWTH, self._settings.probe_pause_limit)

    def _escape(self) -> None:
        if self.status is ProbeStatus.LISTENING and self._now >= self._phase_until:
            if self._meter.media != self._media:
                self._phase_until = self._now + self._settings.escape_pause
                self._media = self._meter.media
            else:
                self._enter(ProbeEvent.QUIET)
        elif self._episode_over(self._now):
            self._enter(ProbeEvent.OVER)

    def _episode_over(self, now: float) -> bool:
        return self.status is ProbeStatus.ESCAPING and (
            self._meter.media != self._media or now >= self._phase_until
        )

    def _aim(self, demand: Demand) -> None:
        if self.status is ProbeStatus.PROBING:
            estimate = demand.estimate or 0
            increment = self._settings.probe_increment
            reach, wanted = self._settings.probe_reach * estimate, float(demand.wanted)
            if demand.carried is not None:
                reach = min(reach, CREEP * demand.carried)
                wanted *= PROOF
            target = min(wanted, max(reach, TARGET_FLOOR))
            if increment is not None:
                target = estimate + increment
            highest = min(max(TARGET_FACTOR * estimate, TARGET_FLOOR), demand.most)
            self._follow(round(min(target, highest)))
        elif self.status is ProbeStatus.ESCAPING:
            self._follow(int(min(self._settings.escape_bitrate, demand.most)))
        elif self.target:
            self._stop()

    def _stop(self) -> None:
        self.padding.stop()
        self.next_tick = NEVER

    def _follow(self, target: int) -> None:
        if target == self.target:
            return
        shortest = self._settings.probe_tick
        tick = shortest * COARSEST
        if target > 0:
            tick = min(max(shortest, TICK_BYTES * 8 / target), tick)
        self.padding.start(self._now, target, tick)
        self.next_tick = min(self.next_tick, self._now + tick) if target else NEVER

    def tick(self, now: float) -> list[int]:
        """Book the padding that is due; call it at `next_tick`.

        Returns:
            The receivers that have padding to send.
        """
        if now < self.next_tick:
            return []
        if self._episode_over(now):
            self._now = now
            self._enter(ProbeEvent.OVER)
            self._stop()
            return []
        late = (now - self.next_tick) // self.padding.tick
        self.next_tick += (late + 1) * self.padding.tick
        if self.next_tick <= now:  # by rounding
            self.next_tick += self.padding.tick
        return self.padding.due(now)


def _progress(reached: int, wanted: int) -> float:
    """What a probe has to reach to be fruitful: half-way to the step, and more than before."""
    goal = min(wanted, max(FAR * reached, TARGET_FLOOR))
    return max(reached + FRUITFUL * (goal - reached), reached + 1)
