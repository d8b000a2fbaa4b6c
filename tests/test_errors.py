"""An error names the argument, the value and the cure, at the call."""

import functools
import math

import pytest

from trio_allocator import (
    ProbingAllocator,
    Track,
    TrackReceiver,
    open_allocator,
    open_passthrough_allocator,
)

CAMERA = Track("camera", variants={"low": 150_000, "high": 2_500_000})


@pytest.mark.invariant("I1")
@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (-1, ["estimate", "negative", "-1"]),
        (-0.5, ["estimate", "negative", "-0.5"]),
        (math.nan, ["estimate", "finite", "nan", "leave out"]),
        (10**40, ["estimate", "at most", "100000"]),
    ],
)
async def test_a_wrong_rate_is_shown(rate, words, autojump_clock):
    async with open_allocator() as allocator:
        with pytest.raises(ValueError, match="estimate") as caught:
            allocator.update_bandwidth_estimation(rate)
    assert all(word in str(caught.value) for word in words)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("opener", [open_allocator, open_passthrough_allocator])
async def test_a_misspelt_option_is_named_with_those_there_are(opener, autojump_clock):
    async with opener() as allocator:
        with pytest.raises(TypeError, match=r"'bandwith'.*priority"):
            allocator.register_track_receiver(CAMERA, bandwith=3)
        with allocator.register_track_receiver(CAMERA) as receiver:
            with pytest.raises(TypeError, match=r"'priorty'.*priority"):
                receiver.set_options(priorty=3)
            assert receiver.options.priority == 0


def test_a_misspelt_setting_is_named_with_those_there_are():
    with pytest.raises(TypeError, match=r"'holds'.*hold.*probe_patience"):
        open_allocator(holds=3)  # type: ignore[call-arg]


def test_a_nursery_is_a_nursery():
    with pytest.raises(TypeError, match=r"nursery.*3"):
        ProbingAllocator.create(3)


def test_a_variant_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(KeyError, match=r"camera.*'hi'.*low, high"):
        CAMERA.allocation("hi")


@pytest.mark.invariant("I1")
@pytest.mark.parametrize("size", ["x", -1, math.nan, None])
async def test_what_is_no_packet_is_refused_before_the_start_as_well(size, autojump_clock):
    async with open_allocator() as allocator:
        receiver = TrackReceiver(allocator, CAMERA, request_variant=lambda *_: None)
        for report in (receiver.packet_sent, receiver.padding_sent):
            with pytest.raises((TypeError, ValueError), match="size"):
                report(size)


async def test_a_callback_that_hides_a_coroutine_is_found_out(autojump_clock):
    async def switch(_variant, _reason):
        raise AssertionError("never awaited")

    async with open_allocator(initial_estimate=1_000_000) as allocator:
        hidden = functools.partial(lambda *arguments: switch(*arguments[1:]), None)
        receiver = TrackReceiver(allocator, CAMERA, request_variant=hidden)
        with pytest.raises(TypeError, match=r"request_variant.*coroutine.*send_nowait"):
            await receiver.run()
