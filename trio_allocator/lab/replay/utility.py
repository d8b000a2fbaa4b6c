"""What a layer is worth: two rules, so that figures can be compared with the peers' or alone."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import Enum

from .recording import RecordingError, Source

_FRAME_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:fps)?", re.ASCII)
_KNEE = 50_000.0
_BASE_FRAME_RATE = 7.5
_LEAST = 0.1


class UtilityRule(Enum):
    """How much a layer is worth to a viewer."""

    AUTO = "auto"
    """``frames`` if every layer to choose from is named after a frame rate, else ``log``. Layers
    that are merely counted (1, 2, 3) are not."""
    FRAMES = "frames"
    """By the layer's name, a frame rate: 1 at 7.5 fps and a quarter more for each doubling, hence
    1.5 at 30 fps. A layer called ``7`` has 7.5 fps: a bridge cuts off the half."""
    LOG = "log"
    """By the layer's mean rate r in bit/s: ln(1 + r / 50k), the source's top layer being 1: for
    150k, 500k and 2.5M that is 0.353, 0.610 and 1."""


def _frame_rate(layer: str) -> float | None:
    match = _FRAME_RATE.fullmatch(layer)
    if match is None or not float(match[1]):
        return None
    rate = float(match[1])
    return _BASE_FRAME_RATE if rate == int(_BASE_FRAME_RATE) else rate


def _is_counted(source: Source) -> bool:
    """Its layers are called 0, 1, 2… or 1, 2, 3…, as `parse_track` and the link test call them."""
    first = source.layers[0]
    return first in {"0", "1"} and all(
        layer == str(int(first) + number) for number, layer in enumerate(source.layers)
    )


def resolve_rule(rule: UtilityRule, sources: Sequence[Source]) -> UtilityRule:
    """Replace ``auto`` by the rule that it stands for with these sources.

    Raises:
        RecordingError: ``frames`` was asked for, and a layer is not named after a frame rate.
    """
    layers = [layer for source in sources if not source.is_fixed for layer in source.layers]
    odd = next((layer for layer in layers if _frame_rate(layer) is None), None)
    if rule is UtilityRule.AUTO:
        are_counted = all(_is_counted(source) for source in sources if not source.is_fixed)
        are_rates = bool(layers) and odd is None and not are_counted
        return UtilityRule.FRAMES if are_rates else UtilityRule.LOG
    if rule is UtilityRule.FRAMES and odd is not None:
        raise RecordingError(
            f"layer {odd!r} is not named after a frame rate such as 7 or 30: use --utility log"
        )
    return rule


def layer_utilities(rule: UtilityRule, source: Source) -> tuple[float, ...]:
    """What each layer of a source is worth, in the order of its layers; all above 0.

    Args:
        rule: ``frames`` or ``log``, as `resolve_rule` returned it.
        source: Whose layers.
    """
    if rule is UtilityRule.FRAMES:
        rates = [_frame_rate(layer) or _BASE_FRAME_RATE for layer in source.layers]
        return tuple(max(1 + 0.25 * math.log2(rate / _BASE_FRAME_RATE), _LEAST) for rate in rates)
    top = math.log1p(source.mean_rates[-1] / _KNEE)
    return tuple(math.log1p(rate / _KNEE) / top for rate in source.mean_rates)
