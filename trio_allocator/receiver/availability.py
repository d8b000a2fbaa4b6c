"""Which variants of a track may be sent: what its source sends, less what the application bars."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from ..tracks import Track


class Availability:
    """Active, muted, target and pinned variants of one track.

    Muting the track and muting a variant are two things: a track that is unmuted still has the
    variants muted that were.

    Attributes:
        track: The track, with the ladder as declared.
        target: The best variant wanted; None for the best there is.
        pin: The only variant wanted, whatever the target; None for no pin.
        active: What the source sends.
        muted: What the application does not want sent, variant by variant.
        track_muted: Whether it wants none sent.

    Args:
        track: The track.
        target: See above.
        pin: See above.
        active: None for the whole ladder.

    Raises:
        TypeError, ValueError: An argument is not usable.
    """

    __slots__ = ("active", "muted", "pin", "target", "track", "track_muted")

    def __init__(
        self,
        track: Track,
        target: str | None,
        active: Collection[str] | None,
        pin: str | None = None,
    ) -> None:
        if not isinstance(track, Track):
            raise TypeError(f"track must be a Track, not {track!r}")
        if isinstance(active, str):
            raise TypeError(f"active must be a collection of names, not {active!r}: use a list")
        self.track: Track = track
        self.target = None if target is None else self.known("target", target)
        self.pin = None if pin is None else self.known("pin", pin)
        names = track.variants if active is None else active
        self.active: set[str] = {self.known("active", variant) for variant in names}
        self.muted: set[str] = set()
        self.track_muted: bool = False

    def known(self, name: str, variant: str) -> str:
        """Check the name of a variant.

        Args:
            name: The argument's name, for the error message.
            variant: A name on the ladder.

        Raises:
            TypeError: It is not a string.
            ValueError: There is no such variant.
        """
        if not isinstance(variant, str):
            raise TypeError(f"{name} must be the name of a variant, not {variant!r}")
        if variant not in self.track.variants:
            ladder = ", ".join(self.track.variants) or "it is empty"
            raise ValueError(
                f"{name} must be a variant of the ladder ({ladder}), not {variant!r}: "
                "set_variants changes the ladder"
            )
        return variant

    def rank(self, variant: str) -> int:
        """Its place on the declared ladder, 0 for the lowest: measured rates do not change it."""
        return list(self.track.variants).index(variant)

    def candidates(self, left_out: Callable[[str], bool] = lambda _: False) -> list[str]:
        """What could be sent if bandwidth were without end, ascending.

        While neither the target nor any variant below it is there, the next one above is better
        than no picture. In place of one that is pinned, nothing is.

        Args:
            left_out: Whether a variant is none for now, though it can be sent.
        """
        available = [variant for variant in self.sendable_ones() if not left_out(variant)]
        if self.target is None or self.pin is not None:
            return available
        top = self.rank(self.target)
        return [variant for variant in available if self.rank(variant) <= top] or available[:1]

    def sendable_ones(self) -> list[str]:
        """What is of use at all and can be sent, ascending; of one that is pinned only that."""
        wanted = self.track.variants if self.pin is None else [self.pin]
        return [variant for variant in wanted if self.sendable(variant)]

    def sendable(self, variant: str) -> bool:
        """Whether its source sends it and nobody muted it."""
        return variant in self.active and variant not in self.muted and not self.track_muted

    def set_muted(self, variant: str | None, muted: bool) -> None:
        """Mute or unmute a variant, or the track (None).

        Raises:
            TypeError, ValueError: There is no such variant.
        """
        if variant is None:
            self.track_muted = muted
        elif muted:
            self.muted.add(self.known("variant", variant))
        else:
            self.muted.discard(self.known("variant", variant))

    def set_variants(self, variants: Mapping[str, float]) -> None:
        """Replace the ladder. New variants count as active; a target or pin that is gone is none.

        Raises:
            TypeError, ValueError: A rate is not a positive number of bit/s.
        """
        track = self.track.with_variants(variants)
        came = track.variants.keys() - self.track.variants.keys()
        self.track = track
        self.active = (self.active | came) & track.variants.keys()
        self.muted &= track.variants.keys()
        if self.target not in track.variants:
            self.target = None
        if self.pin not in track.variants:
            self.pin = None
