"""What a connection may be used for, whatever the estimate says."""

from __future__ import annotations

from typing import TypedDict

from attrs import evolve, field, frozen

from .. import quantities
from .settings import NEVER


class LimitChanges(TypedDict, total=False):
    """The limits as keyword arguments; see `Limits` for what each means."""

    max_bitrate: float | None
    reserve: float


def _cap(value: float | None) -> int | None:
    return None if value is None else quantities.bitrate("max_bitrate", value)


def _reserve(value: float) -> int:
    return quantities.bitrate("reserve", value)


@frozen(kw_only=True)
class Limits:
    """The limits of one connection, checked. Rates are bit/s.

    Attributes:
        max_bitrate: The connection may not be used for more than this; None for no cap.
        reserve: Kept free for what is sent outside of allocations: data channels, or
            retransmissions that receivers do not count.
    """

    max_bitrate: int | None = field(default=None, converter=_cap)
    reserve: int = field(default=0, converter=_reserve)

    def changed(self, changes: LimitChanges) -> Limits:
        """These limits with some changed.

        Raises:
            TypeError, ValueError: A limit is unknown, or its value is not usable.
        """
        quantities.known_names("limit", changes, LimitChanges.__annotations__)
        return evolve(self, **changes)

    @property
    def most(self) -> float:
        """What all allocations may come to under any estimate; infinite without a cap."""
        return NEVER if self.max_bitrate is None else max(0, self.max_bitrate - self.reserve)

    def usable(self, estimate: int) -> int:
        """What all allocations may come to under this estimate."""
        return int(min(max(0, estimate - self.reserve), self.most))
