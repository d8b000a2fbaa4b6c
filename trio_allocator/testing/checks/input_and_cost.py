"""I1: what is refused at the door, and what is not."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import outcome
from attrs import frozen

from ...interface import ConnectionAllocator, ReceiverHandle
from ...messages import (
    BufferSent,
    RequestAllocation,
    SetNegotiabilityStatus,
    SetOptions,
    SetVariants,
)
from ..bench import CAMERA, HIGH, LADDER, LOW, MEDIUM, PLAIN, Bench, requests, unread
from ..violation import demand
from . import memory

TERABIT = 10**12
"""The largest rate that has to be accepted, bit/s."""


@frozen
class _Scene:
    """Two receivers of one allocator, who are waiting for more, and a stranger.

    Attributes:
        allocator: The allocator.
        plain: A receiver without a ladder.
        camera: A receiver with one.
        stranger: A receiver of another allocator.
    """

    allocator: ConnectionAllocator
    plain: ReceiverHandle
    camera: ReceiverHandle
    stranger: ReceiverHandle

    def state(self) -> object:
        """All that can be seen of it; what is unread is taken out of the mailboxes."""
        return self.allocator.estimate.value, [
            (
                receiver.allocation,
                receiver.claim,
                receiver.options,
                receiver.track.variants,
                unread(receiver),
            )
            for receiver in (self.plain, self.camera, self.stranger)
        ]


_Operation = Callable[[_Scene, Any], object]

NO_NUMBERS = (True, False, "5", b"5", [5], 5j, object())
NO_RATES = (*NO_NUMBERS, -1, -0.5, math.nan, math.inf, -math.inf, 1e300, 10**400, -(10**400))
"""Some are just larger than any maximum that one could state."""
NO_WEIGHTS = (*NO_NUMBERS, None, 0, -1, math.nan, math.inf, -math.inf)
NO_PRIORITIES = (*NO_NUMBERS, None, -1, 256, 1.5, math.nan)
NO_FLAGS: tuple[object, ...] = (None, 0, 1, 0.0, "yes", [], math.nan)

RATES: dict[str, _Operation] = {
    "update_bandwidth_estimation": lambda s, x: s.allocator.update_bandwidth_estimation(x),
    "register_track_receiver": lambda s, x: s.allocator.register_track_receiver(PLAIN, x),
    "register_track_receiver with min_bitrate": lambda s, x: s.allocator.register_track_receiver(
        PLAIN, LOW, min_bitrate=x
    ),
    "register_track_receiver with max_bitrate": lambda s, x: s.allocator.register_track_receiver(
        PLAIN, max_bitrate=x
    ),
    "force_allocation": lambda s, x: s.allocator.force_allocation(s.camera, x),
    "request_allocation": lambda s, x: s.plain.request_allocation(x),
    "request_allocation with a ladder": lambda s, x: s.camera.request_allocation(x),
    "buffer_sent": lambda s, x: s.plain.buffer_sent(x),
    "buffer_sent of padding": lambda s, x: s.plain.buffer_sent(x, padding=True),
    "set_options of min_bitrate": lambda s, x: s.plain.set_options(min_bitrate=x),
    "set_options of max_bitrate": lambda s, x: s.camera.set_options(priority=9, max_bitrate=x),
    "set_variants": lambda s, x: s.camera.set_variants({"low": LOW, "odd": x}),
    "send_nowait of RequestAllocation": lambda s, x: s.plain.send_nowait(RequestAllocation(x)),
    "send_nowait of BufferSent": lambda s, x: s.plain.send_nowait(BufferSent(x)),
    "send_nowait of SetVariants": lambda s, x: s.plain.send_nowait(SetVariants({"odd": x})),
    "send_nowait of SetOptions": lambda s, x: s.plain.send_nowait(SetOptions({"min_bitrate": x})),
}
WEIGHTS: dict[str, _Operation] = {
    "register_track_receiver with weight": lambda s, x: s.allocator.register_track_receiver(
        PLAIN, LOW, weight=x
    ),
    "set_options of weight": lambda s, x: s.camera.set_options(priority=9, weight=x),
}
PRIORITIES: dict[str, _Operation] = {
    "register_track_receiver with priority": lambda s, x: s.allocator.register_track_receiver(
        PLAIN, LOW, priority=x
    ),
    "set_options of priority": lambda s, x: s.camera.set_options(weight=9, priority=x),
}
FLAGS: dict[str, _Operation] = {
    "set_negotiability_status": lambda s, x: s.camera.set_negotiability_status(x),
    "send_nowait of SetNegotiabilityStatus": lambda s, x: s.camera.send_nowait(
        SetNegotiabilityStatus(x)
    ),
    "set_options of pausable": lambda s, x: s.camera.set_options(pausable=x),
    "set_options of can_pad": lambda s, x: s.camera.set_options(can_pad=x),
    "set_options of elastic": lambda s, x: s.plain.set_options(elastic=x),
    "register_track_receiver with negotiable": lambda s, x: s.allocator.register_track_receiver(
        PLAIN, LOW, negotiable=x
    ),
}


def _options(name: str) -> Any:
    return {"priority": 9, name: 1}


STRAYS: dict[str, tuple[_Operation, tuple[object, ...]]] = {
    "register_track_receiver of": (
        lambda s, x: s.allocator.register_track_receiver(x, LOW),
        (None, "camera", 5),
    ),
    "register_track_receiver with an option": (
        lambda s, x: s.allocator.register_track_receiver(PLAIN, LOW, **_options(x)),
        ("colour",),
    ),
    "set_options with an option": (
        lambda s, x: s.plain.set_options(**_options(x)),
        ("colour",),
    ),
    "set_options of a maximum below the minimum": (
        lambda s, x: s.plain.set_options(min_bitrate=LOW, max_bitrate=x),
        (LOW - 1,),
    ),
    "set_variants to": (lambda s, x: s.camera.set_variants(x), (None, [LOW], {5: LOW}, {"no": 0})),
    "force_allocation of": (lambda s, x: s.allocator.force_allocation(x, 0), (None, "camera", 5)),
    "force_allocation of another allocator's receiver,": (
        lambda s, x: s.allocator.force_allocation(s.stranger, x),
        (0,),
    ),
    "accept_decrease of": (lambda s, x: s.camera.accept_decrease(x), (None, 5, "request")),
    "reject_decrease of": (lambda s, x: s.camera.reject_decrease(x), (None, 5, "request")),
    "send_nowait of": (lambda s, x: s.camera.send_nowait(x), (None, 5, "request")),
    "send_nowait of another receiver's message,": (
        lambda s, x: s.plain.send_nowait(RequestAllocation(x, s.camera.id)),
        (0,),
    ),
}


async def nonsense_is_refused_and_changes_nothing(bench: Bench) -> None:
    """I1: every operation, with every kind of argument that is none, raises and does nothing."""
    async with bench.open() as allocator, bench.open() as another:
        scene = _Scene(
            allocator,
            allocator.register_track_receiver(PLAIN, LOW),
            allocator.register_track_receiver(CAMERA, LOW),
            another.register_track_receiver(PLAIN, LOW),
        )
        allocator.update_bandwidth_estimation(MEDIUM)
        for receiver in (scene.plain, scene.camera):
            receiver.request_allocation(HIGH)
        scene.state()
        for operations, values in (
            (RATES, NO_RATES),
            (WEIGHTS, NO_WEIGHTS),
            (PRIORITIES, NO_PRIORITIES),
            (FLAGS, NO_FLAGS),
        ):
            for name, operation in operations.items():
                _demand_refused(scene, name, operation, values)
        for name in ("update_bandwidth_estimation", "request_allocation", "buffer_sent"):
            _demand_refused(scene, name, RATES[name], (None,))
        for name, (operation, strays) in STRAYS.items():
            _demand_refused(scene, name, operation, strays)
        allocator.update_bandwidth_estimation(2 * HIGH)
        held = scene.plain.allocation, scene.camera.allocation
        demand(held == (HIGH, HIGH), "I1", f"two hold {held} of {2 * HIGH} after all that nonsense")


def _demand_refused(
    scene: _Scene, name: str, operation: _Operation, values: Iterable[object]
) -> None:
    before = scene.state()
    for value in values:
        result = outcome.capture(operation, scene, value)
        after = scene.state()
        if not _refused(result) or after != before:
            what = f"{name} {_short(value)} gave {result!r}"
            demand(_refused(result), "I1", f"{what}, not TypeError or ValueError")
            demand(after == before, "I1", f"{what}, and made {_short(after)} of {_short(before)}")


def _refused(result: outcome.Outcome[object]) -> bool:
    return isinstance(result, outcome.Error) and isinstance(result.error, (TypeError, ValueError))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 1_000 else f"{text[:20]}... ({len(text)} characters)"


async def nonsense_is_no_answer(bench: Bench) -> None:
    """I1: an answer with a rate that is none raises, and leaves the request open."""
    async with bench.open() as allocator:
        receiver = allocator.register_track_receiver(CAMERA, HIGH)
        allocator.update_bandwidth_estimation(MEDIUM)
        request = requests([receiver]).get(receiver)
        if request is None:
            return
        for value in (*NO_RATES, HIGH, HIGH + 1):
            rate: Any = value
            result = outcome.capture(receiver.accept_decrease, request, rate)
            what = f"accept_decrease to {_short(value)} gave {result!r}"
            demand(_refused(result), "I1", f"{what}, not TypeError or ValueError")
            demand(receiver.allocation == HIGH, "I1", f"{what}, and {receiver.allocation} is held")
            demand(not unread(receiver), "I1", f"{what}, and there was a message")
        counts = receiver.accept_decrease(request, request.limit)
        demand(counts, "I1", "a request that was answered by nonsense can not be answered any more")


async def every_rate_up_to_a_terabit_is_accepted(bench: Bench) -> None:
    """I1: no rate is too small or too large for a network, and fractions are cut off."""
    for rate in (0, 0.9, 1, 1.5, LOW + 0.75, 1e12, TERABIT):
        async with bench.open() as allocator:
            receiver = allocator.register_track_receiver(PLAIN, TERABIT)
            camera = allocator.register_track_receiver(CAMERA)
            allocator.update_bandwidth_estimation(rate)
            seen = {
                "an estimate": allocator.estimate.value,
                "a registration": allocator.register_track_receiver(PLAIN, rate).allocation,
            }
            receiver.set_options(min_bitrate=rate)
            seen["an option"] = receiver.options.min_bitrate
            receiver.set_options(min_bitrate=0)
            receiver.request_allocation(rate)
            seen["a claim"], seen["an allocation"] = receiver.claim, receiver.allocation
            allocator.force_allocation(receiver, rate)
            camera.request_allocation(rate)
            camera.set_variants({**LADDER, "huge": TERABIT})
            camera.set_options(max_bitrate=rate)
            for size in (rate % 65_536, 65_535):
                camera.buffer_sent(size)
            for what, number in seen.items():
                cut = type(number) is int and number == math.floor(rate)
                demand(cut, "I1", f"of {rate!r} bit/s {what} made {number!r}")


CHECKS: dict[str, tuple[Callable[[Bench], Awaitable[None]], ...]] = {
    "I1": (
        nonsense_is_refused_and_changes_nothing,
        nonsense_is_no_answer,
        every_rate_up_to_a_terabit_is_accepted,
    ),
    **memory.CHECKS,
}
