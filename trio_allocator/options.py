"""What a registration may ask of the allocator besides bandwidth."""

from __future__ import annotations

from typing import TypedDict

from attrs import evolve, field, frozen

from . import quantities
from .tracks import Track


class ReceiverOptionChanges(TypedDict, total=False):
    """The options as keyword arguments; see `ReceiverOptions` for what each means."""

    negotiable: bool
    priority: int | tuple[int, ...]
    weight: float
    min_bitrate: float
    max_bitrate: float | None
    pausable: bool
    can_pad: bool
    elastic: bool
    bare_steps: bool


def _minimum(value: float) -> int:
    return quantities.bitrate("min_bitrate", value)


def _weight(value: float) -> float:
    return quantities.positive("weight", value, "relative to 1")


def _cap(value: float | None) -> int | None:
    return None if value is None else quantities.bitrate("max_bitrate", value)


@frozen(kw_only=True)
class ReceiverOptions:
    """The options of one registration, checked. All may change at run time.

    Attributes:
        negotiable: May be asked to decrease. Default: the track has more than one variant, or it is
            pausable.
        priority: 0 to 255, larger first. A lower class never keeps, above its minimum, what a
            higher one waits for. A tuple gives each step a class of its own, the lowest step
            first, the last number for all higher steps: ``(9, 0)`` puts the lowest step before
            all, and the rest behind the others. It must not rise. The first number is that of the
            minimum: the lowest step, or the one that reaches `min_bitrate`. Without a ladder,
            `min_bitrate` is the first step and all that is above it the second.
        weight: Share within the class, greater than 0, relative to 1.
        min_bitrate: What it should have before anyone of its class has more than a minimum, bit/s.
        max_bitrate: What it may hold at most, bit/s; None for no cap.
        pausable: May be taken below its lowest step (or minimum), down to nothing. That takes
            asking: together with ``negotiable=False`` it is an error, and without it the receiver
            becomes negotiable.
        can_pad: Can send padding on request. Default: the track is video. A `TrackReceiver` can if
            it was given ``send_padding``, whatever the kind.
        bare_steps: A step of its ladder is of use at its bare rate already, without headroom for
            bursts; `TrackReceiver` can live with that. A link has headroom of its own, which many
            tracks share.
        elastic: Without a ladder, part of a request is of use too (with one, a step always is).
    """

    negotiable: bool = field()
    priority: int | tuple[int, ...] = field(default=0)
    weight: float = field(default=1.0, converter=_weight)
    min_bitrate: int = field(default=0, converter=_minimum)
    max_bitrate: int | None = field(default=None, converter=_cap)
    pausable: bool = field(default=False)
    can_pad: bool = field()
    elastic: bool = field(default=False)
    bare_steps: bool = field(default=False)

    @negotiable.validator
    @pausable.validator
    @can_pad.validator
    @elastic.validator
    @bare_steps.validator
    def _check_flag(self, attribute: object, value: object) -> None:
        quantities.flag(getattr(attribute, "name", "option"), value)

    @priority.validator
    def _check_priority(self, _attribute: object, value: object) -> None:
        if not isinstance(value, tuple):
            if isinstance(value, list):
                raise TypeError(
                    f"priority must be a number or a tuple, not {value!r}: write a tuple"
                )
            quantities.whole_number("priority", value, 0, 255)
            return
        if not value:
            raise ValueError("priority must name a class for the lowest step at least, got ()")
        classes = [quantities.whole_number("priority", each, 0, 255) for each in value]
        if classes != sorted(classes, reverse=True):
            raise ValueError(
                f"priority must not rise from step to step, got {value!r}: a higher step is of no "
                f"use before the lower ones, so write {tuple(sorted(classes, reverse=True))!r}"
            )

    def __attrs_post_init__(self) -> None:
        if self.max_bitrate is not None and self.max_bitrate < self.min_bitrate:
            raise ValueError(
                f"max_bitrate ({self.max_bitrate}) must not be below min_bitrate "
                f"({self.min_bitrate}) bit/s"
            )

    @property
    def priorities(self) -> tuple[int, ...]:
        """`priority` step by step, the lowest first; the last is that of all higher steps."""
        return self.priority if isinstance(self.priority, tuple) else (self.priority,)

    @classmethod
    def for_track(cls, track: Track, changes: ReceiverOptionChanges) -> ReceiverOptions:
        """The options of a new registration: what is given, else the defaults for the track.

        Raises:
            TypeError, ValueError: An option is unknown, or its value is not usable.
        """
        complete: ReceiverOptionChanges = {
            "negotiable": len(track.variants) > 1,
            "can_pad": track.kind == "video",
        }
        complete.update(_consistent(changes))
        return cls(**complete)

    def changed(self, changes: ReceiverOptionChanges) -> ReceiverOptions:
        """These options with some changed.

        Raises:
            TypeError, ValueError: An option is unknown, or its value is not usable.
        """
        more = _consistent(changes)
        return evolve(self, **(changes if self.pausable else more))


def _consistent(changes: ReceiverOptionChanges) -> ReceiverOptionChanges:
    """These changes, and what they bring with them.

    Raises:
        TypeError, ValueError: An option is unknown, or two contradict each other.
    """
    quantities.known_names("option", changes, ReceiverOptionChanges.__annotations__)
    if changes.get("pausable") is not True:
        return changes
    if changes.get("negotiable") is False:
        raise ValueError(
            "negotiable=False contradicts pausable=True: to be paused it must be asked. Leave out "
            "negotiable, or pausable"
        )
    return {"negotiable": True, **changes}
