"""A track and its ladder: the variants a sender offers, and the rate of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

from attrs import evolve, field, frozen

from . import quantities

TrackKind: TypeAlias = Literal["audio", "video", "screen"]

HEADROOM_TENTHS = 11
"""Allocations carry a tenth more than the nominal rate (Membrane's VariantSelector: 1.1)."""


def with_headroom(rate: int) -> int:
    """The allocation that carries a variant of this nominal rate: 1.1 ×, in integer arithmetic.

    Args:
        rate: Nominal rate, bit/s.

    Returns:
        bit/s.
    """
    return rate * HEADROOM_TENTHS // 10


@frozen
class Variant:
    """One encoding of a track: a simulcast layer, or the sum of SVC layers up to one.

    Attributes:
        name: What the application calls it, such as ``"low"``.
        bitrate: Nominal rate, bit/s.
    """

    name: str
    bitrate: int

    @property
    def allocation(self) -> int:
        """The allocation that carries this variant, headroom included, bit/s."""
        return with_headroom(self.bitrate)


def _checked_variants(variants: Mapping[str, float]) -> Mapping[str, int]:
    if not isinstance(variants, Mapping):
        raise TypeError(f"variants must map names to bit/s, not {variants!r}")
    ladder: dict[str, int] = {}
    for name, rate in variants.items():
        if not isinstance(name, str):
            raise TypeError(f"variant names must be strings, not {name!r}")
        ladder[name] = quantities.bitrate(f"variants[{name!r}]", rate)
        if ladder[name] == 0:
            raise ValueError(
                f"variants[{name!r}] must be at least 1 bit/s: leave out a variant that is not sent"
            )
    return MappingProxyType(dict(sorted(ladder.items(), key=lambda item: item[1])))


def _plain_dict(variants: Mapping[str, int]) -> dict[str, int]:
    return dict(variants)


@frozen
class Track:
    """What is sent to the peer: a name, a kind and a ladder of variants.

    A track is a value. Its ladder changes live by handing the changed track's variants to the
    registration (`ReceiverHandle.set_variants`); the same track may be registered any
    number of times, with one allocator or many.

    Attributes:
        id: What the application calls the track.
        kind: ``"audio"``, ``"video"`` or ``"screen"``.
        variants: Variant name to nominal rate in bit/s, ascending by rate. One variant or none
            for audio and plain tracks. Rates of SVC are cumulative: a layer with all below it.

    Raises:
        TypeError, ValueError: The kind is unknown, or a rate is not a positive number of bit/s.
    """

    id: str = field()
    kind: TrackKind = field(default="video", kw_only=True)
    variants: Mapping[str, int] = field(
        factory=dict, converter=_checked_variants, kw_only=True, eq=_plain_dict, hash=False
    )

    @id.validator
    def _check_id(self, _attribute: object, value: object) -> None:
        if not isinstance(value, str):
            raise TypeError(f"id must be a string, not {value!r}")

    @kind.validator
    def _check_kind(self, _attribute: object, value: object) -> None:
        if value not in get_args(TrackKind):
            raise ValueError(f"kind must be one of {', '.join(get_args(TrackKind))}, not {value!r}")

    def __reduce__(self) -> tuple[Callable[[str, TrackKind, dict[str, int]], Track], object]:
        # A read-only mapping can be neither pickled nor copied, a dict can.
        return _track, (self.id, self.kind, dict(self.variants))

    @property
    def ladder(self) -> tuple[Variant, ...]:
        """The variants, ascending by rate."""
        return tuple(Variant(name, rate) for name, rate in self.variants.items())

    @property
    def steps(self) -> tuple[int, ...]:
        """The allocations worth having, ascending, headroom included, bit/s."""
        return tuple(sorted({with_headroom(rate) for rate in self.variants.values()}))

    @property
    def bare_steps(self) -> tuple[int, ...]:
        """The rates of the variants, ascending, without headroom, bit/s."""
        return tuple(sorted(set(self.variants.values())))

    def allocation(self, variant: str) -> int:
        """The allocation that carries a variant: its rate with the headroom, bit/s.

        Raises:
            KeyError: The track has no such variant.
        """
        if variant not in self.variants:
            there = ", ".join(self.variants) or "none"
            raise KeyError(f"track {self.id!r} has no variant {variant!r}; there are: {there}")
        return with_headroom(self.variants[variant])

    def with_variants(self, variants: Mapping[str, float]) -> Track:
        """The same track with another ladder."""
        return evolve(self, variants=variants)


def _track(track_id: str, kind: TrackKind, variants: Mapping[str, int]) -> Track:
    return Track(track_id, kind=kind, variants=variants)
