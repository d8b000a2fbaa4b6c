"""The protocol for one track as a task, against a handle that records and says what it is told."""

import math
from contextlib import contextmanager
from itertools import pairwise

import pytest
import trio
import trio.testing
from hypothesis import given, strategies as st

from trio_allocator import open_allocator, open_passthrough_allocator
from trio_allocator.interface import ConnectionAllocator, ReceiverHandle
from trio_allocator.messages import (
    AllocationGranted,
    DecreaseAllocation,
    GrantReason,
    SendPadding,
)
from trio_allocator.options import ReceiverOptions
from trio_allocator.receiver import SwitchReason, TrackReceiver
from trio_allocator.receiver.callbacks import check_completed
from trio_allocator.receiver.selector import RESUMED
from trio_allocator.tracks import Track

LADDER = {"low": 150_000, "medium": 500_000, "high": 2_500_000}
CAMERA = Track("camera", variants=LADDER)
LOW, MEDIUM, HIGH = (CAMERA.allocation(name) for name in LADDER)


class FakeHandle(ReceiverHandle):
    """Grants nothing by itself but lowerings; a test plays the allocator by `say`."""

    def __init__(self, track, allocation, options):
        self._track = track
        self._options = ReceiverOptions.for_track(track, options)
        self._allocation = self._claim = allocation
        self._sender, self._receiver = trio.open_memory_channel[object](math.inf)
        self._closed = False
        self.calls = []
        self.open_requests = set()
        self.late = False
        self.media = 0
        self.padding = 0

    id = 3
    track = property(lambda self: self._track)
    options = property(lambda self: self._options)
    allocation = property(lambda self: self._allocation)
    claim = property(lambda self: self._claim)

    def say(self, message):
        if isinstance(message, AllocationGranted):
            self._allocation = message.allocation
        elif isinstance(message, DecreaseAllocation):
            self.open_requests.add(message.request_id)
        self._sender.send_nowait(message)

    def grant(self, allocation):
        self.say(AllocationGranted(allocation, GrantReason.GRANTED, self.id))

    def ask(self, limit, request_id=1):
        request = DecreaseAllocation(self._allocation, limit, request_id, self.id)
        self.say(request)
        return request

    def _check(self):
        if self._closed:
            raise trio.ClosedResourceError

    def buffer_sent(self, size, *, padding=False):
        self._check()
        if size < 0:
            raise ValueError("size must not be negative")
        if padding:
            self.padding += size
        else:
            self.media += size

    def request_allocation(self, bitrate):
        self._check()
        self.calls.append(("request", bitrate))
        self._claim = bitrate
        self._lower(bitrate)

    def _lower(self, bitrate):
        if bitrate < self._allocation:
            self.say(AllocationGranted(bitrate, GrantReason.LOWERED, self.id))

    def accept_decrease(self, request, bitrate=None):
        self._check()
        self.open_requests.remove(request.request_id)
        assert bitrate < self._allocation
        self.calls.append(("accept", request.request_id, bitrate))
        if self.late:
            return False
        self._lower(bitrate)
        return True

    def reject_decrease(self, request):
        self._check()
        self.open_requests.remove(request.request_id)
        self.calls.append(("reject", request.request_id))
        return True

    def set_options(self, **changes):
        self._check()
        self._options = self._options.changed(changes)

    def set_variants(self, variants):
        self._check()
        self.calls.append(("variants", dict(variants)))
        self._track = self._track.with_variants(variants)

    def receive_nowait(self):
        self._check()
        return self._receiver.receive_nowait()

    async def receive(self):
        self._check()
        return await self._receiver.receive()

    def close(self):
        self._closed = True

    def send_answer(self, answer):
        raise NotImplementedError


class FakeAllocator(ConnectionAllocator):
    def __init__(self):
        self.handles = []

    def register_track_receiver(self, track, bandwidth=0, **options):
        self.handles.append(FakeHandle(track, bandwidth, options))
        return self.handles[-1]

    @classmethod
    def create(cls, nursery):
        raise NotImplementedError

    async def destroy(self):
        raise NotImplementedError

    estimate = None  # type: ignore[assignment]  # nobody asks

    def update_bandwidth_estimation(self, estimate, *, carried=None):
        raise NotImplementedError

    def force_allocation(self, receiver, bitrate):
        raise NotImplementedError


class Application:
    """What an application does: note what it is told, and confirm a switch when the test says."""

    def __init__(self, track=CAMERA, allocator=None, **settings):
        self.allocator = FakeAllocator() if allocator is None else allocator
        self.told = []
        self.padding_asked = []
        settings.setdefault("send_padding", self.pad)
        settings.setdefault("bare_steps", False)  # these tests tell of allocations with headroom
        self.receiver = TrackReceiver(
            self.allocator, track, request_variant=self.switch, **settings
        )

    def switch(self, variant, reason):
        self.told.append((variant, reason))

    def pad(self, size):
        self.padding_asked.append(size)
        return size + 12

    @property
    def handle(self):
        return self.allocator.handles[-1]

    @property
    def calls(self):
        return self.handle.calls

    def confirm(self):
        self.receiver.variant_switched(self.receiver.queued_variant)


@pytest.fixture
async def app(nursery):
    application = Application()
    await nursery.start(application.receiver.run)
    application.confirm()
    application.told.clear()
    application.calls.clear()
    return application


async def test_it_registers_at_the_lowest_step_and_claims_the_best(autojump_clock):
    app = Application(priority=5, weight=2.0, pausable=True)
    async with trio.open_nursery() as nursery:
        handle = await nursery.start(app.receiver.run)
        assert handle is app.handle is app.receiver.handle
        assert handle.allocation == LOW
        assert handle.claim == HIGH
        assert (handle.options.priority, handle.options.weight) == (5, 2.0)
        assert handle.options.pausable
        assert handle.options.can_pad
        assert app.told == [("low", SwitchReason.AUTOMATIC)]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("track", "settings", "bandwidth"),
    [
        (CAMERA, {"bandwidth": HIGH}, HIGH),
        (CAMERA, {"bandwidth": 0}, 0),
        (Track("mic", kind="audio", variants={"opus": 35_000}), {}, 38_500),
        (Track("data"), {}, 0),
        (Track("data"), {"bandwidth": 64_000}, 64_000),
    ],
)
async def test_what_it_registers_with(track, settings, bandwidth):
    app = Application(track, **settings)
    async with trio.open_nursery() as nursery:
        assert (await nursery.start(app.receiver.run)).allocation == bandwidth
        nursery.cancel_scope.cancel()


async def test_the_registration_lives_as_long_as_run(nursery):
    app = Application()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as inner:
            await inner.start(app.receiver.run)
            assert not app.handle._closed
            scope.cancel()
    assert app.handle._closed
    assert app.receiver.handle is None
    with pytest.raises(RuntimeError, match="once"):
        await app.receiver.run()


async def test_a_grant_is_complied_with(app, autojump_clock):
    app.handle.grant(HIGH)
    await trio.testing.wait_all_tasks_blocked()
    assert app.told == [("high", SwitchReason.GRANTED)]
    assert (app.receiver.current_variant, app.receiver.queued_variant) == ("low", "high")
    app.handle.grant(0)
    await trio.testing.wait_all_tasks_blocked()
    assert app.told[1:] == [(None, SwitchReason.LOW_BANDWIDTH)]


async def test_a_decrease_is_answered_in_the_step_that_reads_it(app, autojump_clock):
    app.handle.grant(HIGH)
    await trio.testing.wait_all_tasks_blocked()
    app.confirm()
    app.told.clear()
    app.handle.ask(limit=MEDIUM)
    await trio.lowlevel.checkpoint()  # wakes the receiver
    await trio.lowlevel.checkpoint()
    assert app.calls == [("accept", 1, MEDIUM), ("request", HIGH)]
    assert app.told == [("medium", SwitchReason.LOW_BANDWIDTH)]
    assert app.handle.allocation == MEDIUM


async def test_the_lowest_is_not_given_up_unless_it_may_pause(app, autojump_clock):
    app.handle.ask(limit=0)
    await trio.testing.wait_all_tasks_blocked()
    assert app.calls == [("reject", 1)]
    app.receiver.set_options(pausable=True)
    assert app.handle.options.pausable
    app.handle.ask(limit=0, request_id=2)
    await trio.testing.wait_all_tasks_blocked()
    assert app.calls[1] == ("accept", 2, 0)
    assert app.told == [(None, SwitchReason.LOW_BANDWIDTH)]


async def test_a_request_that_force_overtook_is_answered_by_what_is_left(app, autojump_clock):
    app.handle.grant(MEDIUM)
    await trio.testing.wait_all_tasks_blocked()
    app.handle.ask(limit=LOW)
    app.handle.grant(LOW)  # unread when the request is answered
    await trio.testing.wait_all_tasks_blocked()
    assert app.calls == [("reject", 1)]
    assert app.told[-1] == ("low", SwitchReason.LOW_BANDWIDTH)


async def test_an_acceptance_that_came_too_late_binds_nobody(app, autojump_clock):
    app.handle.grant(MEDIUM)
    await trio.testing.wait_all_tasks_blocked()
    app.confirm()
    app.told.clear()
    app.handle.late = True
    app.handle.ask(limit=LOW)
    await trio.testing.wait_all_tasks_blocked()
    assert app.calls == [("accept", 1, LOW)]
    assert app.told == []
    assert app.receiver.current_variant == "medium"


async def test_padding_is_reported_as_far_as_it_was_sent(app, autojump_clock):
    app.handle.say(SendPadding(1_000, 3))
    await trio.testing.wait_all_tasks_blocked()
    assert app.padding_asked == [1_000]
    assert (app.handle.padding, app.handle.media) == (1_012, 0)


async def test_padding_that_another_task_sends_is_reported_by_it(nursery, autojump_clock):
    app = Application(send_padding=lambda _size: None)
    await nursery.start(app.receiver.run)
    app.handle.say(SendPadding(1_000, 3))
    await trio.testing.wait_all_tasks_blocked()
    assert app.handle.padding == 0
    app.receiver.padding_sent(255)
    assert app.handle.padding == 255


async def test_who_cannot_pad_says_so_and_books_nothing(nursery, autojump_clock):
    app = Application(send_padding=None)
    await nursery.start(app.receiver.run)
    assert not app.handle.options.can_pad
    app.handle.say(SendPadding(1_000, 3))
    await trio.testing.wait_all_tasks_blocked()
    assert app.handle.padding == 0
    with pytest.raises(ValueError, match=r"must not be True without a send_padding"):
        app.receiver.set_options(can_pad=True)


async def test_packets_are_charged_and_measured(app, autojump_clock):
    app.handle.grant(MEDIUM)
    await trio.testing.wait_all_tasks_blocked()
    app.confirm()
    for _ in range(400):  # 4 s at 800 kbit/s
        await trio.sleep(0.01)
        app.receiver.packet_sent(1_000)
    assert app.handle.media == 400_000
    (_, ladder), (_, claim) = app.calls
    assert ladder["medium"] == pytest.approx(800_000, rel=0.05)
    assert claim == ladder["medium"] * 11 // 10
    assert app.receiver.track == CAMERA  # what is declared stays


async def test_silence_sets_no_timer_and_a_packet_sets_it_again(app, autojump_clock):
    await trio.sleep(10)
    assert app.receiver._timer.deadline == math.inf
    app.receiver.packet_sent(1_000)
    assert app.receiver._timer.deadline == trio.current_time() + 1


async def test_variants_that_stop_together_are_named_together(app, autojump_clock):
    app.receiver.variant_inactive("low", "medium")
    assert [call for call in app.calls if call[0] == "variants"] == [
        ("variants", {"high": 2_500_000})
    ]


async def test_events_act_in_the_call(app, autojump_clock):
    app.receiver.variant_inactive("low")
    assert app.told == [(None, SwitchReason.LOW_BANDWIDTH)]
    app.receiver.variant_active("low")
    assert app.told[1:] == [("low", SwitchReason.AUTOMATIC)]
    app.confirm()
    app.receiver.mute()
    app.receiver.unmute()
    assert app.told[2:] == [(None, SwitchReason.MUTED), ("low", SwitchReason.UNMUTED)]
    app.calls.clear()
    app.receiver.set_target("medium")
    app.receiver.set_variants({"low": 100_000, "medium": 600_000})
    assert app.calls == [
        ("request", MEDIUM),
        ("variants", {"low": 100_000, "medium": 600_000}),
        ("request", 110_000),
        ("request", 660_000),
    ]


async def test_a_callback_may_cause_the_next_event(nursery, autojump_clock):
    app = Application()

    def switch_at_once(variant, reason):
        app.told.append((variant, reason))
        app.receiver.variant_switched(variant)

    app.receiver = TrackReceiver(
        app.allocator, CAMERA, request_variant=switch_at_once, bare_steps=False
    )
    await nursery.start(app.receiver.run)
    for bitrate in (HIGH, 0, MEDIUM):
        app.handle.grant(bitrate)
        await trio.testing.wait_all_tasks_blocked()
    assert [variant for variant, _ in app.told] == ["low", "high", None, "medium"]
    assert app.receiver.current_variant == "medium"
    await trio.sleep(1.1 * RESUMED)
    assert app.calls[-1] == ("request", HIGH)


async def test_before_run_nothing_is_done_and_all_is_remembered():
    app = Application(active=[], target="low")
    app.receiver.variant_active("medium")
    app.receiver.set_target(None)
    app.receiver.set_variants({**LADDER, "medium": 400_000})
    app.receiver.set_options(priority=9)
    app.receiver.packet_sent(1_000)
    app.receiver.padding_sent(1_000)
    assert app.told == []
    async with trio.open_nursery() as nursery:
        handle = await nursery.start(app.receiver.run)
        assert handle.track.variants["medium"] == 400_000
        assert (handle.claim, handle.options.priority) == (440_000, 9)
        nursery.cancel_scope.cancel()


def test_it_can_be_made_and_prepared_outside_of_trio():
    app = Application(active=[])
    app.receiver.variant_active("low")
    app.receiver.mute()
    assert app.receiver.handle is None


async def test_after_run_nothing_is_done():
    app = Application()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(app.receiver.run)
            app.confirm()
            scope.cancel()
    app.told.clear()
    app.calls.clear()
    app.receiver.packet_sent(1_000)
    app.receiver.padding_sent(1_000)
    app.receiver.variant_inactive("low")
    app.receiver.set_target("high")
    app.receiver.set_options(priority=1)
    assert (app.told, app.calls, app.handle.media, app.handle.padding) == ([], [], 0, 0)
    assert app.receiver.current_variant is None


async def test_run_ends_normally_when_the_allocator_closes(autojump_clock):
    app = Application()
    async with trio.open_nursery() as nursery:
        await nursery.start(app.receiver.run)
        app.handle._sender.close()
    assert app.handle._closed


async def test_a_media_task_that_is_quicker_than_run_does_not_notice_the_end(autojump_clock):
    app = Application()
    async with trio.open_nursery() as nursery:
        await nursery.start(app.receiver.run)
        app.confirm()
        app.handle.close()
        app.handle._sender.close()
        app.receiver.packet_sent(1_000)
        assert app.receiver.handle is None
        app.receiver.variant_inactive("low")
        app.receiver.padding_sent(1_000)


@pytest.mark.parametrize("callback", ["request_variant", "send_padding"])
async def test_what_a_callback_raises_leaves_run_unwrapped(callback, autojump_clock):
    def fail(*_arguments):
        raise KeyError("mine")

    callbacks = {"request_variant": lambda *_: None, "send_padding": lambda _: None, callback: fail}
    allocator = FakeAllocator()
    receiver = TrackReceiver(allocator, CAMERA, bandwidth=LOW, active=["high"], **callbacks)
    caught = []

    async def run(*, task_status):  # noqa: ASYNC128 - receiver.run does
        try:
            await receiver.run(task_status=task_status)
        except KeyError as error:
            caught.append(error)

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        allocator.handles[0].grant(HIGH)
        allocator.handles[0].say(SendPadding(100, 3))
    assert caught
    assert allocator.handles[0]._closed


async def test_run_itself_raises_no_group(autojump_clock):
    def fail(*_arguments):
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await TrackReceiver(FakeAllocator(), CAMERA, request_variant=fail).run()


async def test_a_callback_of_the_applications_may_raise_what_the_end_raises(autojump_clock):
    """The application's own closed channel is not the allocator's."""

    def fail(*_arguments):
        raise trio.ClosedResourceError

    with pytest.raises(trio.ClosedResourceError):
        await TrackReceiver(FakeAllocator(), CAMERA, request_variant=fail).run()


async def test_what_a_callback_raises_in_an_event_goes_to_who_reported_it(app, monkeypatch):
    def fail(*_arguments):
        raise KeyError("mine")

    monkeypatch.setattr(app.receiver, "_request_variant", fail)
    with pytest.raises(KeyError):
        app.receiver.variant_inactive("low")
    # The books are right all the same, and run goes on.
    assert app.calls == [("variants", {"medium": 500_000, "high": 2_500_000})]
    monkeypatch.setattr(app.receiver, "_request_variant", app.switch)
    app.handle.grant(HIGH)
    await trio.testing.wait_all_tasks_blocked()
    assert app.told == [("high", SwitchReason.INACTIVE)]


async def test_unless_told_otherwise_it_asks_for_bare_rates(autojump_clock):
    app = Application(bare_steps=True)
    async with trio.open_nursery() as nursery:
        handle = await nursery.start(app.receiver.run)
        assert (handle.allocation, handle.options.bare_steps) == (150_000, True)
        assert app.calls == [("request", 2_500_000)]
        with pytest.raises(ValueError, match="bare_steps must stay True"):
            app.receiver.set_options(bare_steps=False)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("settings", "error", "named"),
    [
        ({"request_variant": None}, TypeError, "request_variant"),
        ({"send_padding": 3}, TypeError, "send_padding"),
        ({"bandwidth": "much"}, TypeError, "bandwidth"),
        ({"bandwidth": -1}, ValueError, "bandwidth"),
        ({"target": "giant"}, ValueError, "target"),
        ({"pin": "giant"}, ValueError, "pin"),
        ({"active": ["giant"]}, ValueError, "active"),
        ({"priority": 256}, ValueError, "priority"),
        (
            {"priority": (0, 9)},
            ValueError,
            r"priority must not rise .* \(0, 9\): .* write \(9, 0\)",
        ),
        ({"priority": (256, 0)}, ValueError, "priority"),
        ({"priority": ()}, ValueError, r"priority must name a class .* got \(\)"),
        ({"priority": [9, 0]}, TypeError, r"priority must be .* not \[9, 0\]: write a tuple"),
        ({"priority": (9, True)}, TypeError, "priority"),
        ({"priority": (9, 0.5)}, TypeError, "priority"),
        ({"can_pad": True}, ValueError, "can_pad"),
        ({"fancy": True}, TypeError, "fancy"),
    ],
)
def test_bad_arguments_are_refused_when_it_is_made(settings, error, named):
    with pytest.raises(error, match=named):
        TrackReceiver(FakeAllocator(), CAMERA, **{"request_variant": lambda *_: None, **settings})


def test_asynchronous_callbacks_are_refused_with_a_cure():
    async def switch(variant, reason):
        pass

    with pytest.raises(TypeError, match=r"request_variant must be a synchronous .* channel"):
        TrackReceiver(FakeAllocator(), CAMERA, request_variant=switch)


async def test_bad_input_changes_nothing(app, autojump_clock):
    for bad in (
        lambda: app.receiver.variant_switched("giant"),
        lambda: app.receiver.set_variants({"low": -1}),
        lambda: app.receiver.set_pin("giant"),
        lambda: app.receiver.set_options(priority=-1),
        lambda: app.receiver.packet_sent(-1),
    ):
        with pytest.raises(ValueError, match="must"):
            bad()
    assert (app.told, app.calls, app.handle.media) == ([], [], 0)
    assert app.receiver.current_variant == "low"
    assert app.receiver._selector.rates.sent == 0


names = st.sampled_from(list(LADDER))
steps = st.one_of(
    st.tuples(st.just("grant"), st.sampled_from([0, LOW, MEDIUM, HIGH]) | st.integers(0, HIGH)),
    st.tuples(st.just("ask"), st.integers(0, HIGH)),
    st.tuples(st.just("sleep"), st.sampled_from([0, 0.001, 0.5, 1, 3])),
    st.tuples(st.just("packet_sent"), st.integers(0, 200_000)),
    st.tuples(st.just("confirm")),
    st.tuples(st.just("variant_active"), names),
    st.tuples(st.just("variant_inactive"), names),
    st.tuples(st.just("mute"), st.none() | names),
    st.tuples(st.just("unmute"), st.none() | names),
    st.tuples(st.just("set_target"), st.none() | names),
    st.tuples(st.just("set_pin"), st.none() | names),
)


@contextmanager
def each_request_is_answered_once(handle):
    """The fake fails at a second answer; what is left open at the end was never answered."""
    yield
    assert handle.open_requests == set()


@given(
    order=st.random_module(),
    steps=st.lists(steps, max_size=25),
    confirms=st.booleans(),
    pausable=st.booleans(),
)
def test_whatever_happens_every_request_is_answered_and_nothing_asked_twice(
    order, steps, confirms, pausable
):
    async def main():
        app = Application(pausable=pausable)

        def switch(variant, reason):
            app.switch(variant, reason)
            if confirms:
                app.receiver.variant_switched(variant)

        app.receiver = TrackReceiver(
            app.allocator, CAMERA, request_variant=switch, pausable=pausable, bare_steps=False
        )
        with trio.fail_after(1_000):
            async with trio.open_nursery() as nursery:
                handle = await nursery.start(app.receiver.run)
                with each_request_is_answered_once(handle):
                    for number, (name, *arguments) in enumerate(steps):
                        match name:
                            case "grant":  # a mailbox has no two of them
                                await trio.testing.wait_all_tasks_blocked()
                                handle.grant(*arguments)
                            case "ask":
                                await trio.testing.wait_all_tasks_blocked()
                                handle.ask(*arguments, request_id=number)
                            case "sleep":
                                await trio.sleep(*arguments)
                            case "confirm":
                                app.confirm()
                            case _:
                                getattr(app.receiver, name)(*arguments)
                    await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        claims = [call for call in handle.calls if call[0] in ("request", "accept")]
        for (*_, claimed), (name, *_, wanted) in pairwise(claims):
            assert name == "accept" or wanted != claimed
        told = [variant for variant, reason in app.told if reason is not SwitchReason.REPEATED]
        if confirms:
            assert all(one != next_one for one, next_one in pairwise(told))

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


# With the allocators of this package


@pytest.mark.parametrize("policy", ["fair", "layered", "water-filling"])
async def test_a_pinned_variant_or_none_is_sent(policy, autojump_clock):
    async with (
        open_allocator(initial_estimate=3 * LOW, policy=policy) as allocator,
        trio.open_nursery() as nursery,
    ):
        app = Application(allocator=allocator, pin="medium")
        receiver = app.receiver
        await nursery.start(receiver.run)
        await trio.testing.wait_all_tasks_blocked()
        assert (receiver.handle.allocation, receiver.handle.claim, app.told) == (0, MEDIUM, [])
        allocator.update_bandwidth_estimation(2 * HIGH)
        await trio.testing.wait_all_tasks_blocked()
        assert receiver.handle.allocation == MEDIUM
        app.confirm()
        receiver.set_pin("low")
        assert receiver.handle.allocation == LOW
        assert receiver.queued_variant == "low"
        app.confirm()
        receiver.set_pin(None)
        await trio.testing.wait_all_tasks_blocked()
        assert (receiver.handle.allocation, receiver.queued_variant) == (HIGH, "high")
        assert receiver.handle.track.variants == LADDER
        assert allocator.status.policy_fault is None
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("pausable", [False, True])
async def test_short_of_capacity_a_pinned_one_is_kept_or_paused_whole(pausable, autojump_clock):
    async with (
        open_allocator(initial_estimate=HIGH) as allocator,
        trio.open_nursery() as nursery,
    ):
        app = Application(allocator=allocator, pin="medium", pausable=pausable)
        await nursery.start(app.receiver.run)
        await trio.testing.wait_all_tasks_blocked()
        app.confirm()
        allocator.update_bandwidth_estimation(MEDIUM - 1)
        await trio.testing.wait_all_tasks_blocked()
        assert app.receiver.handle.allocation == (0 if pausable else MEDIUM)
        assert app.receiver.current_variant == (None if pausable else "medium")
        allowances = {allowance.name for allowance in allocator.status.allowances}
        assert allowances == (set() if pausable else {"minimum"})
        assert allocator.status.forced == 0
        nursery.cancel_scope.cancel()


async def test_with_the_passthrough_allocator_it_goes_straight_to_the_best(autojump_clock):
    async with open_passthrough_allocator() as allocator, trio.open_nursery() as nursery:
        app = Application(allocator=allocator)
        await nursery.start(app.receiver.run)
        await trio.testing.wait_all_tasks_blocked()
        assert app.receiver.queued_variant == "high"
        assert app.receiver.handle.allocation == HIGH
        nursery.cancel_scope.cancel()


async def test_run_ends_normally_when_the_real_allocator_closes(autojump_clock):
    async with trio.open_nursery() as nursery:
        async with open_allocator(initial_estimate=HIGH) as allocator:
            app = Application(allocator=allocator)
            await nursery.start(app.receiver.run)
            app.confirm()
        app.receiver.packet_sent(1_000)
    assert app.receiver.handle is None


@given(
    order=st.random_module(),
    estimates=st.lists(st.integers(100_000, 12_000_000), min_size=1, max_size=8),
    pausable=st.booleans(),
)
def test_honest_receivers_cure_every_overuse_and_are_never_forced(order, estimates, pausable):
    async def main():
        async with (
            open_allocator(initial_estimate=estimates[0]) as allocator,
            trio.open_nursery() as nursery,
        ):
            apps = [Application(allocator=allocator, pausable=pausable) for _ in range(3)]
            for app in apps:
                await nursery.start(app.receiver.run)
            for estimate in estimates:
                await trio.sleep(1)
                allocator.update_bandwidth_estimation(estimate)
                now = trio.current_time()
                await trio.testing.wait_all_tasks_blocked()
                assert trio.current_time() == now
                held = [app.receiver.handle.allocation for app in apps]
                assert sum(held) <= max(estimate, 0 if pausable else 3 * LOW)
                for app in apps:
                    app.confirm()
                    carried = app.receiver.current_variant
                    assert carried is None or (
                        CAMERA.allocation(carried) <= app.receiver.handle.allocation
                    )
            assert (allocator.status.forced, allocator.status.breaches) == (0, 0)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_once_the_allocator_has_closed_nothing_is_said_any_more(autojump_clock):
    ladder = {"low": 150_000, "high": 2_500_000}
    async with open_allocator(initial_estimate=3_000_000) as allocator:
        async with trio.open_nursery() as nursery:
            camera = TrackReceiver(
                allocator, Track("camera", variants=ladder), request_variant=lambda *_: None
            )
            await nursery.start(camera.run)
            allocator.close()
            camera.set_variants({"low": 100_000, "high": 1_000_000})  # its task does not know yet
            camera.mute()
            camera.padding_sent(1)
            assert camera.handle is None


@pytest.mark.parametrize("kind", ["audio", "video", "screen"])
@pytest.mark.parametrize("given", [True, False])
async def test_it_can_pad_if_it_was_given_the_means(kind, given):
    async with open_allocator() as allocator, trio.open_nursery() as nursery:
        means = {"send_padding": lambda size: size} if given else {}
        receiver = TrackReceiver(
            allocator, Track("t", kind=kind), request_variant=lambda *_: None, **means
        )
        handle = await nursery.start(receiver.run)
        assert handle.options.can_pad is given
        nursery.cancel_scope.cancel()


async def test_it_counts_its_switches_pauses_stalls_and_what_it_asks_for_again(app, autojump_clock):
    app.handle.grant(MEDIUM)
    await trio.sleep(2.7)
    app.confirm()
    app.handle.grant(0)
    await trio.testing.wait_all_tasks_blocked()
    counted = app.receiver.statistics().as_dict()
    assert counted == {"switches": 1, "pauses": 1, "stalls": 1, "key_frames_repeated": 1}
    assert not app.receiver.ended
    app.handle.close()
    app.receiver.packet_sent(1)
    assert app.receiver.ended
    assert app.receiver.statistics().as_dict() == counted


async def test_after_the_end_of_its_registration_nobody_is_told_to_switch(app):
    app.handle.close()
    app.receiver.variant_inactive("low")
    assert app.told == []
    assert app.receiver.ended


def test_a_callback_that_turns_out_to_be_asynchronous_is_refused_by_name():
    async def switch(variant):
        raise AssertionError(variant)

    with pytest.raises(TypeError, match="request_variant must be a synchronous function"):
        check_completed(switch("low"))
    check_completed(None)


def test_it_needs_an_allocator():
    with pytest.raises(TypeError, match="allocator must be a ConnectionAllocator, not None"):
        TrackReceiver(None, Track("camera"), request_variant=print)
