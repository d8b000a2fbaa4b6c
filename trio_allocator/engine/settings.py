"""Everything about an allocator that can be set, with the reason for each default."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from attrs import field, frozen

from .. import quantities

EstimateSource: TypeAlias = Literal["ideal", "ramping"]
"""How estimates follow the capacity: up and down at once, or down at once and up slowly."""


class SettingChanges(TypedDict, total=False):
    """The settings as keyword arguments; see `Settings` for what each means."""

    estimates: EstimateSource
    negotiation_timeout: float
    hold: float
    refusal_backoff: float
    overtaken_limit: int
    overtaken_hold: float
    estimate_timeout: float | None
    probe_increment: float | None
    probe_reach: float
    probe_patience: float
    probe_pause: float
    probe_pause_limit: float
    probe_tick: float
    padding_packet: int
    escape_bitrate: float
    escape_duration: float
    escape_pause: float


def _seconds(default: float, *, infinite: bool = False) -> Any:
    def check(_instance: object, attribute: Any, value: object) -> None:
        quantities.positive(attribute.name, value, "seconds", infinite=infinite)

    return field(default=default, validator=check)


def _bounded_seconds(default: float, longest: float, *, shortest: float = 0.0) -> Any:
    def check(_instance: object, attribute: Any, value: object) -> None:
        number = quantities.positive(attribute.name, value, "seconds")
        if not shortest <= number <= longest:
            raise ValueError(
                f"{attribute.name} must be from {shortest} to {longest} seconds, got {value!r}"
            )

    return field(default=default, validator=check)


def _increment(value: float | None) -> int | None:
    return None if value is None else quantities.bitrate("probe_increment", value)


def _escape_bitrate(value: float) -> int:
    return quantities.bitrate("escape_bitrate", value)


@frozen(kw_only=True)
class Settings:
    """How an allocator behaves. Times are seconds, rates bit/s, sizes bytes.

    Attributes:
        estimates: What the source of the estimates is like. ``"ramping"``: congestion control,
            which falls at once, and climbs only while more is sent. ``"ideal"``: it sees what
            the link could carry, such as a link that is measured or scheduled by the same program.
        negotiation_timeout: How long an asked receiver has to answer, and to keep its promise
            (N3, N4). 50 ms is five times what the reference blocks its server for.
        hold: After a receiver was lowered by force, by the allocator or by `force_allocation`, its
            raises wait this long (G9); after a decrease that it agreed to there is no hold. Jitsi,
            mediasoup and Symphony hold 5 to 10 s.
        refusal_backoff: A receiver that rejected, kept silent or broke a promise may be asked again after
            this, unless the estimate falls or its allocation rises before (N5).
        overtaken_limit: How often a waiting receiver may be overtaken before what becomes free is
            held for it (G8).
        overtaken_hold: For how long it is held; at most 5 s.
        estimate_timeout: Silence after which the estimate is no longer known (A6); None for
            max(2 s, 3 × the longest recent interval), `math.inf` for never.
        probe_increment: None to probe for the next useful step (P4); a rate to probe at the
            estimate plus this, as the reference does with 200 kbit/s.
        probe_reach: How far above the estimate a probe for the next step goes at most, as a factor
            from 1 to 2. What is sent has to be near the estimate for congestion control to climb
            (libwebrtc: at most to 1.5 × what arrived), and not above it: that only fills queues.
        probe_patience: A probe that does not bring half of what lacked in this time ends (P4).
            `math.inf` to go on for ever.
        probe_pause: Pause after the first fruitless probe; grows by half each time (LiveKit's
            prober: 3 s, × 1.5, up to 120 s).
        probe_pause_limit: The longest pause between fruitless probes.
        probe_tick: The shortest time between two rounds of padding (the reference: 10 ms), from
            1 ms to 1 s. At low rates the ticks are coarser, up to ten times as long.
        padding_packet: Bytes of one padding packet, the unit that padding is shared out in. RTP
            padding is at most 255 bytes a packet (RFC 3550, section 5.1), one of them the count.
        escape_bitrate: The floor at which padding goes out when everything waits and nothing is
            sent (P5).
        escape_duration: How long one such episode lasts.
        escape_pause: How long it listens for media before each episode.
    """

    estimates: EstimateSource = field(default="ramping")
    negotiation_timeout: float = _bounded_seconds(0.05, 10.0)
    hold: float = _bounded_seconds(5.0, 10.0)
    refusal_backoff: float = _seconds(5.0, infinite=True)
    overtaken_limit: int = field(default=3)
    overtaken_hold: float = _bounded_seconds(5.0, 5.0)
    estimate_timeout: float | None = field(default=None)
    probe_increment: int | None = field(default=None, converter=_increment)
    probe_reach: float = field(default=1.05)
    probe_patience: float = _seconds(3.0, infinite=True)
    probe_pause: float = _seconds(3.0)
    probe_pause_limit: float = _seconds(60.0)
    probe_tick: float = _bounded_seconds(0.01, 1.0, shortest=0.001)
    padding_packet: int = field(default=256)
    escape_bitrate: int = field(default=200_000, converter=_escape_bitrate)
    escape_duration: float = _seconds(0.5)
    escape_pause: float = _seconds(2.0)

    @estimates.validator
    def _check_estimates(self, _attribute: object, value: object) -> None:
        if value not in get_args(EstimateSource):
            raise ValueError(
                f"estimates must be one of {', '.join(get_args(EstimateSource))}, not {value!r}"
            )

    @overtaken_limit.validator
    def _check_limit(self, _attribute: object, value: object) -> None:
        quantities.whole_number("overtaken_limit", value, 1, 1_000_000)

    @probe_reach.validator
    def _check_reach(self, _attribute: object, value: object) -> None:
        number = quantities.positive("probe_reach", value, "times the estimate")
        if not 1 <= number <= 2:
            raise ValueError(f"probe_reach must be from 1 to 2 times the estimate, got {value!r}")

    @padding_packet.validator
    def _check_packet(self, _attribute: object, value: object) -> None:
        quantities.whole_number("padding_packet", value, 1, 65_535)

    @estimate_timeout.validator
    def _check_timeout(self, _attribute: object, value: object) -> None:
        if value is not None:
            quantities.positive("estimate_timeout", value, "seconds", infinite=True)

    def __attrs_post_init__(self) -> None:
        if self.probe_pause_limit < self.probe_pause:
            raise ValueError(
                f"probe_pause_limit ({self.probe_pause_limit}) must not be below "
                f"probe_pause ({self.probe_pause}) seconds"
            )


NEVER = math.inf
"""The time of what is not due."""
