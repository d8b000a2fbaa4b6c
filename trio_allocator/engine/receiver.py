"""What the engine knows of one receiver, and the steps its allocation can take."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from ..obstacle import Obstacle
from ..options import ReceiverOptions
from ..policies.next_step import next_step
from ..policies.step_classes import StepClasses, class_above, step_classes
from ..tracks import Track
from .negotiation import TRANSITIONS, Negotiation, NegotiationEvent, Refusal, Request
from .settings import NEVER

ANSWERS_REMEMBERED = 8
"""How many answered requests are told apart from those that lapsed unanswered."""


class Receiver:
    """One registration in the books. Rates are bit/s, times seconds.

    Attributes:
        id: Identity, ascending in order of registration.
        track: The track with its current ladder.
        options: The options in force.
        steps: Allocations worth having, ascending; empty without a ladder.
        classes: The priority classes that its steps belong to.
        minimum: What it should have before anyone of its class has more (G8): its lowest step
            that reaches `min_bitrate`.
        floor: What it is never taken below by negotiation or force: the minimum, or nothing if
            it is pausable.
        allocation: What it holds.
        reached: How many steps that was when it came to hold it: of a step that gets dearer it may be
            less now, and more of the allocation for it is no raise.
        projected: What it will hold when everything under way is done: below the allocation
            while a decrease is asked for, above it while a raise waits for room to be freed.
        claim: What it asked for last.
        want: The claim within its cap.
        waiting_since: When it began to wait for more; None while it does not.
        returning: It gave back all that it held, and has not been granted anything since: when it
            asks again it is served first of its class (A7).
        obstacle: Why it claims no more, as it says itself; for reports alone.
        raised_at: When it was raised by a step last.
        overtaken: How often others were served while it was the longest waiting of its class.
        held_until: End of its hold; None while there is none.
        negotiation: Where its decrease request stands.
        request: The outstanding request, if any.
        refusal: Its refusal in force, if any.
        last_request: Id of the newest request it was sent, 0 before the first.
        answered: Ids of the requests it answered last.
    """

    __slots__ = (
        "allocation",
        "answered",
        "claim",
        "classes",
        "floor",
        "held_until",
        "id",
        "last_request",
        "minimum",
        "negotiation",
        "obstacle",
        "options",
        "overtaken",
        "projected",
        "raised_at",
        "reached",
        "refusal",
        "request",
        "returning",
        "steps",
        "track",
        "waiting_since",
        "want",
    )

    def __init__(
        self, receiver_id: int, track: Track, options: ReceiverOptions, bandwidth: int
    ) -> None:
        self.id: int = receiver_id
        self.allocation: int = bandwidth
        self.projected: int = bandwidth
        self.claim: int = bandwidth
        self.steps: tuple[int, ...] = ()
        self.reached: int = 0
        self.waiting_since: float | None = None
        self.returning: bool = False
        self.overtaken: int = 0
        self.obstacle: Obstacle | None = None
        self.raised_at: float = -NEVER
        self.held_until: float | None = None
        self.negotiation: Negotiation = Negotiation.IDLE
        self.request: Request | None = None
        self.refusal: Refusal | None = None
        self.last_request: int = 0
        self.answered: tuple[int, ...] = ()
        self.configure(track, options)

    def configure(self, track: Track, options: ReceiverOptions) -> None:
        """Take over a ladder and options; allocation and claim stay."""
        self.track: Track = track
        self.options: ReceiverOptions = options
        steps = track.bare_steps if options.bare_steps else track.steps
        other_steps, self.steps = len(steps) != len(self.steps), steps
        if other_steps:
            self.reached = self.rank(self.allocation)
        reaching = bisect_left(self.steps, options.min_bitrate)
        self.minimum: int = (
            self.steps[reaching] if reaching < len(self.steps) else options.min_bitrate
        )
        self.floor: int = 0 if options.pausable else self.minimum
        levels = (self.minimum, *self.steps[reaching + 1 :]) if self.minimum else ()
        self.classes: StepClasses = step_classes(options.priorities, levels)
        self.set_claim(self.claim)

    def set_claim(self, claim: int) -> None:
        """Want this from now on, as far as the cap allows (a step of the ladder, if it has one)."""
        self.claim = claim
        cap = self.options.max_bitrate
        if cap is None or claim <= cap:
            self.want: int = claim
        elif self.steps:
            below_cap = bisect_right(self.steps, cap)
            self.want = self.steps[below_cap - 1] if below_cap else 0
        else:
            self.want = cap

    @property
    def lowest(self) -> int:
        """How far down it could be brought, by asking or by force."""
        return min(self.allocation, self.floor) if self.options.negotiable else self.allocation

    def step_above(self, level: int) -> int:
        """The next level worth having above this one; `level` is below what it wants."""
        return next_step(level, self.minimum, self.steps, self.want)

    def step_below(self, level: int, need: int) -> int:
        """The next level down from this one, towards its floor.

        Without a ladder any lower level will do: a quarter at a time, so that equals stay near
        each other, and no more than is needed.
        """
        if level <= self.minimum:
            return min(level, self.floor)
        if not self.steps:
            return max(self.minimum, level - min(need, max(1, level >> 2)))
        index = bisect_left(self.steps, level)
        return max(self.minimum, self.steps[index - 1])

    def turn(self, level: int) -> float:
        """Since when it waits for more than this, s; one that returns comes before all others (A7)."""
        if self.returning and not level:
            return -NEVER
        return 0.0 if self.waiting_since is None else self.waiting_since

    @property
    def priority(self) -> int:
        """The class of its next step, above what it is to hold."""
        return class_above(self.classes, self.projected)

    def rank(self, level: int) -> int:
        """How many steps it has at this level: claims for low steps come before those for high."""
        return bisect_right(self.steps, level)

    def rises_to(self, level: int) -> bool:
        """Whether this is a raise, and not more for what is sent anyhow or any part of it.

        Without a ladder it is one if it is more than the contract's tenth.
        """
        if self.steps:
            return self.rank(level) > self.reached
        return not self.options.elastic and 10 * level > 11 * self.allocation

    def step(self, event: NegotiationEvent) -> bool:
        """Move along the transition table.

        Returns:
            False if the event means nothing in this state; then nothing changed.
        """
        following = TRANSITIONS[self.negotiation].get(event)
        if following is None:
            return False
        self.negotiation = following
        if following is Negotiation.IDLE:
            self.request = None
        return True
