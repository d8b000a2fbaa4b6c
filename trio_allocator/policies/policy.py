"""Ways to share, written as pure functions: claims and capacity in, allocations out.

A user's policy is checked, never trusted: one that raises, or whose result breaks an invariant,
is replaced by the built-in sharing, and the allocator's status says so (L3).
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Protocol, cast

from attrs import Attribute, field, frozen

from .next_step import next_step
from .step_classes import StepClasses, class_above, parts_between


@frozen
class Claim:
    """What a policy knows of one receiver. Rates are bit/s.

    Attributes:
        receiver_id: Identity, ascending in order of registration.
        priority: Larger first.
        weight: Share within the class, relative to 1.
        allocation: What it holds.
        lowest: What it can be brought down to; its allocation if it cannot be asked now.
        minimum: What it should have before anyone of its class has more.
        wanted: What it could use; its allocation if it waits for nothing now.
        levels: The levels from `lowest` to `wanted` worth having, ascending; empty if any level
            down is, and upwards only `wanted` itself (or anything, if it is elastic).
        elastic: Without a ladder, part of what it wants is of use too.
        waiting_since: When it began to wait for more, s; None while it does not. Minus infinity
            for one that gave back all, and has returned: it comes first of its class (A7).
        steps: The steps of its ladder, ascending; empty without one.
        pausable: It may be brought down to nothing, and is paused when it holds nothing.
        planned: It is to be raised as soon as somebody has made room for that.
        asked: It was asked to go down to `lowest` and has not answered: it keeps all, or goes there.
        classes: Of a priority per step: the classes of its steps, the highest first, each with the
            level up to which it goes; the last has no end. Empty where all is of `priority`, and
            so whenever an allocator asks: it asks class by class.
    """

    receiver_id: int
    priority: int
    weight: float
    allocation: int
    lowest: int
    minimum: int
    wanted: int
    levels: tuple[int, ...]
    elastic: bool
    waiting_since: float | None
    steps: tuple[int, ...] = ()
    pausable: bool = False
    planned: bool = False
    asked: bool = False
    classes: StepClasses = ()

    @property
    def in_classes(self) -> StepClasses:
        """`classes`, written out."""
        return self.classes or ((self.priority, math.inf),)

    def level_above(self, level: int) -> int:
        """The next level worth having above this one; itself if there is none."""
        if level >= self.wanted:
            return level
        return next_step(level, self.minimum, self.levels, self.wanted)


def _is_number(_shares: object, attribute: Attribute[float], value: float) -> None:
    if math.isnan(value):
        raise ValueError(f"{attribute.name} must be a number of bit/s, not {value!r}")


@frozen
class Shares:
    """A policy's answer.

    Attributes:
        allocations: Receiver id to bit/s, for every claim.
        lowest: The smallest capacity, bit/s, for which the answer would be the same.
        highest: The largest; the engine asks again only outside, or when the claims change.
        bars: Receiver id to the level, bit/s, that must fit before that receiver is raised at
            all; for those who are kept back by one. A hold, which is bounded in size by what the
            receiver wants, and which the status declares (G2).

    Raises:
        ValueError: `lowest` or `highest` is NaN.
    """

    allocations: Mapping[int, int]
    lowest: float = field(default=math.inf, validator=_is_number)
    highest: float = field(default=-math.inf, validator=_is_number)
    bars: Mapping[int, int] = field(factory=dict[int, int])


class Policy(Protocol):
    """A way to share. It must be pure: same claims, same capacity, same answer.

    An allocator calls it, and asks its class for one attribute, which may be missing: with
    ``cautious = False`` raises are not kept back for a while after the estimate fell, as they are
    not with ``"fair"``.
    """

    def __call__(self, claims: Sequence[Claim], capacity: int) -> Shares:
        """Choose the allocation that everybody should have.

        Every allocation lies between the claim's `lowest` and the larger of `allocation` and
        `wanted`. Their sum is within the capacity, unless everybody is at the lowest. Nothing
        that would fit is left out (G2), a lower class keeps nothing above its minimums that a
        higher one waits for (G6), and nobody in a class has more than a minimum while another's
        minimum waits (G8).

        Args:
            claims: One for each receiver, in a list made for this call: it may be sorted or
                consumed. The claims themselves can not be changed.
            capacity: What there is for all of them, bit/s.
        """
        ...


class PolicyError(Exception):
    """A policy raised, or its answer breaks an invariant."""

    @classmethod
    def of(cls, what: str, function: object, error: Exception) -> PolicyError:
        """That a function of the user's failed."""
        return cls(f"the {what} {shown(function)} failed: {shown(error)}")


def shown(value: object) -> str:
    """Its `repr`; that is the user's, too, and may fail."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - whatever it is, the message goes out
        return f"<{type(value).__name__}, whose repr fails>"


def is_cautious(policy: Policy) -> bool:
    """Whether raises are kept back after the estimate fell; see `Policy`."""
    return cast("bool", getattr(type(policy), "cautious", True))


def check_callable(policy: Policy) -> None:
    """Check what can be seen of a policy before it is called.

    Raises:
        TypeError: It is a class, is asynchronous, takes other arguments, or says of its caution
            neither yes nor no.
    """
    if isinstance(policy, type):
        raise TypeError(
            f"policy must be called for an answer, and {shown(policy)} is a class: "
            f"make one of it, {policy.__name__}()"
        )
    if inspect.iscoroutinefunction(policy) or inspect.iscoroutinefunction(type(policy).__call__):
        raise TypeError(f"policy must answer at once, and {shown(policy)} is an async function")
    try:
        signature = inspect.signature(policy, follow_wrapped=False)
    except (TypeError, ValueError):  # such as of one written in C
        signature = None
    try:
        if signature is not None:
            signature.bind((), 0)
    except TypeError as error:
        raise TypeError(
            f"policy must take claims and a capacity, which {shown(policy)} does not: {error}"
        ) from None
    if not isinstance(is_cautious(policy), bool):
        raise TypeError(
            f"cautious of the class of a policy must be True or False, not "
            f"{shown(is_cautious(policy))}; rename it if it means something else"
        )


def answer_of(policy: Policy, claims: Sequence[Claim], capacity: int) -> Shares:
    """What a policy says of these claims, read once: whatever it does with its list, or its answer later.

    Raises:
        TypeError: It says nothing that could be shares.
        ValueError: It leaves a claim out.
    """
    answer = policy(list(claims), capacity)
    if not hasattr(answer, "allocations"):
        raise TypeError(f"it must return Shares({{receiver_id: bit/s}}), not {shown(answer)}")
    levels: dict[int, int] = {}
    for claim in claims:
        try:
            levels[claim.receiver_id] = answer.allocations[claim.receiver_id]
        except LookupError:
            raise ValueError(
                f"it gives no share to receiver {claim.receiver_id}: every claim needs one"
            ) from None
    return Shares(levels, float(answer.lowest), float(answer.highest), dict(answer.bars))


def check_shares(claims: Sequence[Claim], capacity: int, shares: Shares) -> None:
    """Check a policy's answer.

    Raises:
        ValueError: It breaks an invariant; the message names it.
    """
    chosen = {claim.receiver_id: shares.allocations[claim.receiver_id] for claim in claims}
    for claim in claims:
        level = chosen[claim.receiver_id]
        if type(level) is not int:
            raise ValueError(f"A1: the share of receiver {claim.receiver_id} is {level!r}")
        if not claim.lowest <= level <= max(claim.allocation, claim.wanted):
            raise ValueError(
                f"A2: the share of receiver {claim.receiver_id} is {level} bit/s, outside "
                f"{claim.lowest} to {max(claim.allocation, claim.wanted)}"
            )
    total = sum(chosen.values())
    if total > capacity and any(chosen[c.receiver_id] > c.lowest for c in claims):
        raise ValueError(f"A2: {total} bit/s are shared out of {capacity}")
    wanted = {claim.receiver_id: claim.wanted for claim in claims}
    for receiver_id, bar in shares.bars.items():
        if receiver_id not in wanted:
            raise ValueError(f"G2: there is a bar for {receiver_id!r}, and no such claim")
        if type(bar) is not int or bar < 0:
            raise ValueError(f"G2: the bar of receiver {receiver_id} is {bar!r}")
        if bar > wanted[receiver_id]:
            raise ValueError(f"G2: the bar of receiver {receiver_id} is above all it wants")
    for rule, claim, need in unserved(claims, capacity, shares):
        if rule == "G2":
            raise ValueError(f"G2: {need} bit/s for receiver {claim.receiver_id} would fit")
        raise ValueError(
            f"{rule}: receiver {claim.receiver_id} waits for {need} bit/s that those after it hold "
            "above their minimums"
        )


def unserved(
    claims: Sequence[Claim], capacity: int, shares: Shares, *, down_to_lowest: bool = False
) -> Iterator[tuple[str, Claim, int]]:
    """Find the claims that wait although there is room: the rule (G2, G6 or G8), the claim, the need in bit/s.

    Args:
        claims: Of everybody.
        capacity: bit/s.
        shares: What everybody is to have.
        down_to_lowest: Lower classes have to give all that they can, not what is above minimums.
    """
    chosen = shares.allocations
    total = sum(chosen.values())
    extra: Counter[int] = Counter()
    given: Counter[int] = Counter()
    for claim in claims:
        level = chosen[claim.receiver_id]
        minimum = max(claim.lowest, claim.minimum)
        least = claim.lowest if down_to_lowest else minimum
        for priority, _ in claim.in_classes:
            extra[priority] += 0
            given[priority] += 0
        extra.update(dict(parts_between(claim.in_classes, minimum, level)))
        given.update(dict(parts_between(claim.in_classes, least, level)))
    classes = sorted(given)
    below = dict(zip(classes, accumulate((given[p] for p in classes), initial=0), strict=False))
    for claim in claims:
        level = chosen[claim.receiver_id]
        if level >= claim.wanted:
            continue
        within = level < min(claim.minimum, claim.wanted)
        following = level + 1 if claim.elastic and not within else claim.level_above(level)
        need = max(following, shares.bars.get(claim.receiver_id, 0)) - level
        room = capacity - total
        priority = class_above(claim.in_classes, level)
        if need <= room:
            yield "G2", claim, need
        elif need <= room + below[priority]:
            yield ("G8" if within else "G6"), claim, need
        elif within and need <= room + below[priority] + extra[priority]:
            yield "G8", claim, need
