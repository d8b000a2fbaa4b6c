"""What a selector refuses it names as the argument that it is."""

from __future__ import annotations

import pytest

from trio_allocator.receiver import VariantSelector
from trio_allocator.tracks import Track

CAMERA = Track("camera", variants={"low": 150_000, "high": 2_500_000})


@pytest.mark.invariant("I1")
@pytest.mark.parametrize(
    ("operation", "arguments", "name"),
    [
        ("registered", (-1, 0.0), "allocation"),
        ("granted", (-1, 0.0), "allocation"),
        ("lowered", (-1, 0.0), "allocation"),
        ("answer", (3,), "request"),
        ("variant_switched", ("best", 0.0), "variant"),
        ("variant_active", ("best", 0.0), "variant"),
        ("variant_inactive", ("best", 0.0), "variant"),
        ("mute", ("best", 0.0), "variant"),
        ("unmute", ("best", 0.0), "variant"),
        ("set_target", ("best", 0.0), "target"),
        ("set_pin", ("best", 0.0), "pin"),
        ("set_pausable", (1,), "pausable"),
        ("set_variants", (3, 0.0), "variants"),
    ],
)
def test_an_argument_that_is_refused_is_named(operation, arguments, name):
    selector = VariantSelector(CAMERA)
    with pytest.raises((TypeError, ValueError), match=f"^{name} "):
        getattr(selector, operation)(*arguments)


@pytest.mark.invariant("I1")
def test_a_selector_is_made_of_a_track_and_of_nothing_like_it():
    with pytest.raises(TypeError, match=r"^track "):
        VariantSelector("camera")
    with pytest.raises(TypeError, match=r"^pausable "):
        VariantSelector(CAMERA, pausable=1)
