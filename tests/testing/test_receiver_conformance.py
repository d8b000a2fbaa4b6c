"""Receivers that keep their side of the contract, receivers that do not, and the check for both."""

import ast
import contextlib
import inspect
import runpy
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest
import trio
import trio.testing

from tests.shell.support import CAMERA, HIGH, LADDER, MICROPHONE, PLAIN, obey
from trio_allocator import TrackReceiver
from trio_allocator.messages import (
    AllocationGranted,
    DecreaseAllocation,
    RejectDecrease,
    SendPadding,
)
from trio_allocator.testing.receiver_bench import RECEIVER_RULES
from trio_allocator.testing.receiver_conformance import check_track_receiver
from trio_allocator.testing.violation import ConformanceError

ROOT = Path(__file__).parents[2]
TICK = 0.02
"""Seconds from packet to packet."""


async def send(rate, report):
    """Media at the rate that it is allowed to have, until there is nobody to report it to."""
    while True:
        await trio.sleep(TICK)
        try:
            if size := int(rate() / 8 * TICK):
                report(size)
        except trio.ClosedResourceError:
            return


async def beside(media, conversation):
    """Send for as long as the conversation takes."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(media)
        await conversation
        nursery.cancel_scope.cancel()


# --- receivers that keep it ------------------------------------------------------------------


async def run_track_receiver(
    allocator, track=CAMERA, key_frame=0.1, confirm_padding=True, **options
):
    """A `TrackReceiver`, and a source whose key frames take a moment."""
    awaited = None
    unsent = 0

    def request_variant(variant, reason):
        nonlocal awaited
        if not (awaited and awaited[0] == variant):  # asked again, it comes no later
            awaited = variant and (variant, trio.current_time() + key_frame)

    def pad(size):
        nonlocal unsent
        unsent += size
        return None if options.get("bandwidth") else size

    receiver = TrackReceiver(
        allocator, track, request_variant=request_variant, send_padding=pad, **options
    )

    async def source():
        nonlocal awaited, unsent
        while True:
            await trio.sleep(TICK)
            if awaited and trio.current_time() >= awaited[1]:
                variant, awaited = awaited[0], None
                receiver.variant_switched(variant)
            if receiver.current_variant:
                receiver.packet_sent(int(track.variants[receiver.current_variant] / 8 * TICK))
            if options.get("bandwidth") and unsent:
                receiver.padding_sent(unsent)
                unsent = 0

    await beside(source, receiver.run())


async def run_obey(allocator):
    """The loop of the shell's tests."""
    with allocator.register_track_receiver(PLAIN, 50_000, negotiable=True, can_pad=False) as handle:
        media = partial(send, lambda: handle.allocation, handle.buffer_sent)
        await beside(media, obey(handle))


class Encoder:
    """Encodes at any rate."""

    def __init__(self, rate=100_000):
        self.rate = rate

    def set_bitrate(self, bitrate):
        self.rate = bitrate


async def run_adapt(adapt, allocator):
    """A conversation on the handle, with an encoder."""
    encoder = Encoder()
    options = {"negotiable": True, "elastic": True, "min_bitrate": 100_000}
    with allocator.register_track_receiver(PLAIN, encoder.rate, **options) as handle:
        media = partial(send, lambda: encoder.rate, handle.buffer_sent)
        await beside(media, adapt(handle, encoder))


def adapt_of_the_how_to():
    """The function `adapt` of docs/howto/custom_receiver.md."""
    page = (ROOT / "docs" / "howto" / "custom_receiver.md").read_text(encoding="utf-8")
    block = page.split("```python\n")[1].split("```")[0]
    (definition,) = [n for n in ast.parse(block).body if isinstance(n, ast.AsyncFunctionDef)]
    names = vars(__import__("trio_allocator")).copy()
    exec(compile(ast.Module([definition], []), "custom_receiver.md", "exec"), names)
    return names["adapt"]


def adapt_of_the_example():
    """The function `adapt` of examples/custom_receiver.py."""
    return runpy.run_path(str(ROOT / "examples" / "custom_receiver.py"))["adapt"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pausable": True},
        {"target": "medium"},
        {"bandwidth": HIGH},
        {"min_bitrate": LADDER["medium"]},
        {"max_bitrate": LADDER["high"]},
        {"key_frame": 0.0},
        {"key_frame": 0.9},
        {"active": ["low", "high"]},
    ],
    ids=str,
)
def test_a_track_receiver_keeps_the_contract(options):
    check_track_receiver(partial(run_track_receiver, **options))


def test_a_track_receiver_of_one_variant_keeps_the_contract():
    track = MICROPHONE.with_variants({"opus": 35_000})
    check_track_receiver(partial(run_track_receiver, track=track))


@pytest.mark.parametrize("adapt", [adapt_of_the_how_to, adapt_of_the_example])
def test_a_conversation_by_hand_keeps_the_contract(adapt):
    check_track_receiver(partial(run_adapt, adapt()))


def test_the_plain_loop_keeps_the_contract():
    check_track_receiver(run_obey)


# --- receivers that do not -------------------------------------------------------------------


class Honest:
    """A receiver that takes any rate; whoever is not honest overrides something."""

    bandwidth = 100_000
    track = PLAIN
    options = MappingProxyType({"negotiable": True, "elastic": True, "can_pad": True})

    def __init__(self, allocator):
        self.allocator = allocator
        self.rate = self.bandwidth

    def register(self):
        return self.allocator.register_track_receiver(self.track, self.bandwidth, **self.options)

    async def run(self):
        with self.register() as self.handle:
            self.handle.request_allocation(1_000_000)
            await self.live()

    async def live(self):
        await beside(partial(send, self.allowed, self.report), self.converse())

    def allowed(self):
        return self.rate

    def report(self, size):
        self.handle.buffer_sent(size)

    async def converse(self):
        async for message in self.handle:
            await self.hear(message)

    async def hear(self, message):
        match message:
            case AllocationGranted(allocation):
                self.granted(allocation)
            case DecreaseAllocation():
                await self.asked(message)
            case SendPadding(size):
                self.pad(size)

    def granted(self, allocation):
        self.rate = allocation

    async def asked(self, request):
        self.handle.accept_decrease(request, request.limit)

    def pad(self, size):
        self.handle.buffer_sent(size, padding=True)


def run_honest(kind):
    async def run(allocator):
        await kind(allocator).run()

    run.__qualname__ = kind.__name__
    return run


class InTwoSteps(Honest):
    async def asked(self, request):
        if self.handle.accept_decrease(request):
            self.handle.request_allocation(request.limit)


class Stubborn(Honest):
    async def asked(self, request):
        self.handle.reject_decrease(request)


class AnswersByGoingDown(Honest):
    async def asked(self, request):
        self.handle.request_allocation(request.limit)


class NotNegotiable(Honest):
    options = MappingProxyType({})


@pytest.mark.parametrize("kind", [Honest, InTwoSteps, Stubborn, AnswersByGoingDown, NotNegotiable])
def test_whatever_the_contract_allows_is_allowed(kind):
    check_track_receiver(run_honest(kind))


# R1


class NeverRegisters(Honest):
    async def run(self):
        await trio.sleep_forever()


class RegistersTwice(Honest):
    async def run(self):
        with self.register():
            await super().run()


class RegistersAgain(Honest):
    def granted(self, allocation):
        if not allocation:
            self.register()
        super().granted(allocation)


class RegistersWithTooMuch(Honest):
    bandwidth = 2_000_000_000


class RegistersAboveItsLadder(Honest):
    track = CAMERA
    bandwidth = HIGH + 1


# R2


class IgnoresGrants(Honest):
    def granted(self, allocation):
        self.rate = max(self.rate, allocation)


class NeverStops(Honest):
    def granted(self, allocation):
        self.rate = max(5_000, allocation)


class CompliesForAWhile(Honest):
    def granted(self, allocation):
        super().granted(allocation)
        self.since = trio.current_time()

    def allowed(self):
        return self.rate if trio.current_time() < self.since + 2 else 2_000_000


class IgnoresItsOwnPromise(Honest):
    async def asked(self, request):
        rate = self.rate
        await super().asked(request)
        self.handle.receive_nowait()
        self.rate = rate


class ReportsNothing(Honest):
    def report(self, size):
        pass


class SendsALittleTooMuch(Honest):
    def allowed(self):
        return 1.1 * self.rate


# R3


class Silent(Honest):
    async def asked(self, request):
        pass


class Late(Honest):
    async def asked(self, request):
        await trio.sleep(0.05)
        await super().asked(request)


class AnswersTwice(Honest):
    async def asked(self, request):
        await super().asked(request)
        self.handle.reject_decrease(request)


class AnswersTwiceAndHidesIt(Honest):
    async def asked(self, request):
        await super().asked(request)
        with contextlib.suppress(ValueError):
            self.handle.reject_decrease(request)


class AnswersForAnother(Honest):
    async def asked(self, request):
        await super().asked(request)
        with contextlib.suppress(ValueError):
            self.handle.reject_decrease(replace(request, receiver_id=request.receiver_id + 1))


class AnswersWhatWasNeverAsked(Honest):
    async def asked(self, request):
        await super().asked(request)
        self.handle.send_nowait(RejectDecrease(request.request_id + 1, request.receiver_id))


class AnswersWhatItDidNotRead(Honest):
    heard = 0

    async def asked(self, request):
        self.heard = request.request_id
        await super().asked(request)

    async def converse(self):
        await beside(self.guess, super().converse())

    async def guess(self):
        while True:
            await trio.sleep(0.37)
            newest = self.handle.receiver.last_request
            if newest != self.heard:
                self.heard = newest
                self.handle.send_nowait(RejectDecrease(newest, self.handle.id))


# R4


class BreaksPromises(Honest):
    async def asked(self, request):
        self.handle.accept_decrease(request)


class KeepsPromisesLater(Honest):
    async def asked(self, request):
        self.handle.accept_decrease(request)
        await trio.sleep(0.01)
        self.handle.request_allocation(request.limit)


class PromisesAndAsksForMore(Honest):
    async def asked(self, request):
        self.handle.accept_decrease(request)
        self.handle.request_allocation(request.allocation + 1)


class AcceptsToStay(Honest):
    async def asked(self, request):
        self.handle.accept_decrease(request, request.allocation)


class TriesToStay(Honest):
    async def asked(self, request):
        try:
            self.handle.accept_decrease(request, request.allocation)
        except ValueError:
            self.handle.reject_decrease(request)


# R5


class DividesByItsRate(Honest):
    def granted(self, allocation):
        super().granted(allocation)
        self.interval = 1200 * 8 / allocation


class TrustsItsLowest(Honest):
    async def asked(self, request):
        if request.allocation < 1_000:
            raise ValueError("nobody may ask for less")
        await super().asked(request)


class TakesNothingTwice(Honest):
    before = 0

    def granted(self, allocation):
        if allocation == self.before:
            raise RuntimeError("that is what I have")
        self.before = self.rate = allocation


class LeavesWhenForced(Honest):
    def granted(self, allocation):
        super().granted(allocation)
        if self.handle.claim > allocation:
            self.handle.close()


class BuffersPadding(Honest):
    def pad(self, size):
        if size > 65_535:
            raise OverflowError("the buffer is full")
        super().pad(size)


class HasNoTimeAtFirst(Honest):
    async def asked(self, request):
        if trio.current_time() < 0.5:
            raise RuntimeError("I am not ready")
        await super().asked(request)


# R6


class PadsTwice(Honest):
    def pad(self, size):
        super().pad(size)
        super().pad(size)


class PadsAsMedia(Honest):
    def pad(self, size):
        self.handle.buffer_sent(size)


class PadsUnasked(Honest):
    def report(self, size):
        super().report(size)
        self.pad(10)


class ForgetsToPad(Honest):
    def pad(self, size):
        pass


# R7


class RaisesAtTheEnd(Honest):
    async def converse(self):
        while True:
            await self.hear(await self.handle.receive())


class OutlivesItsRegistration(Honest):
    async def run(self):
        await super().run()
        await trio.sleep(5)


class ReconnectsForEver(Honest):
    async def run(self):
        while True:
            try:
                await super().run()
            except trio.ClosedResourceError:
                await trio.sleep(1)


class EndsByItself(Honest):
    async def run(self):
        with trio.move_on_after(2.5):
            await super().run()


# R8


class TakesItsTime(Honest):
    async def run(self):
        try:
            await super().run()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2 if self.allocator.receivers == () else 0)


class LeavesItsRegistration(Honest):
    async def run(self):
        self.handle = self.register()
        self.handle.request_allocation(1_000_000)
        await self.live()


class LeavesATask(Honest):
    async def run(self):
        trio.lowlevel.spawn_system_task(trio.sleep, 10)
        await super().run()


# R9


class Polls(Honest):
    async def converse(self):
        while True:
            try:
                await self.hear(self.handle.receive_nowait())
            except trio.WouldBlock:
                await trio.sleep(0.0006)
            except trio.ClosedResourceError:
                return


class Spins(Honest):
    async def converse(self):
        while True:
            try:
                await self.hear(self.handle.receive_nowait())
            except trio.WouldBlock:
                await trio.lowlevel.checkpoint()
            except trio.ClosedResourceError:
                return


class Chatters(Honest):
    def report(self, size):
        super().report(size)
        self.handle.set_options(priority=1)


class AlwaysWantsMore(Honest):
    def granted(self, allocation):
        super().granted(allocation)
        self.handle.request_allocation(allocation + 1)


PLANTED = {
    "R1": [
        NeverRegisters,
        RegistersTwice,
        RegistersAgain,
        RegistersWithTooMuch,
        RegistersAboveItsLadder,
    ],
    "R2": [
        IgnoresGrants,
        NeverStops,
        CompliesForAWhile,
        IgnoresItsOwnPromise,
        ReportsNothing,
        SendsALittleTooMuch,
    ],
    "R3": [
        Silent,
        Late,
        AnswersTwice,
        AnswersTwiceAndHidesIt,
        AnswersForAnother,
        AnswersWhatWasNeverAsked,
        AnswersWhatItDidNotRead,
    ],
    "R4": [BreaksPromises, KeepsPromisesLater, PromisesAndAsksForMore, AcceptsToStay, TriesToStay],
    "R5": [
        DividesByItsRate,
        TrustsItsLowest,
        TakesNothingTwice,
        BuffersPadding,
        HasNoTimeAtFirst,
    ],
    "R6": [PadsTwice, PadsAsMedia, PadsUnasked, ForgetsToPad],
    "R7": [
        RaisesAtTheEnd,
        OutlivesItsRegistration,
        ReconnectsForEver,
        EndsByItself,
        LeavesWhenForced,
    ],
    "R8": [TakesItsTime, LeavesItsRegistration, LeavesATask],
    "R9": [Polls, Spins, Chatters, AlwaysWantsMore],
}
BROKEN_AS_WELL = {
    RegistersTwice: {"R2", "R3", "R6", "R7"},  # one of the two is deaf
    TriesToStay: {"R3"},  # that it tries is an answer, too
    TakesItsTime: {"R7"},
}


def found(kind, **terms):
    """The rules that the check says a receiver breaks."""
    with pytest.raises(ConformanceError) as caught:
        check_track_receiver(run_honest(kind), **terms)
    for rule in caught.value.invariants:
        assert f"{rule} ({RECEIVER_RULES[rule]})" in str(caught.value)
    return caught.value.invariants


def all_but(*rules):
    return RECEIVER_RULES.keys() - set(rules)


@pytest.mark.parametrize(
    ("rule", "kind"), [(rule, kind) for rule, kinds in PLANTED.items() for kind in kinds]
)
def test_the_check_names_the_rule_that_is_broken_and_no_other(rule, kind):
    # Who never rests takes long to check: what else is wrong with it is not asked.
    except_for = all_but("R9") if rule == "R9" else ()
    assert found(kind, except_for=except_for) == {rule} | BROKEN_AS_WELL.get(kind, set())


def test_every_rule_has_a_receiver_that_breaks_it():
    assert PLANTED.keys() == RECEIVER_RULES.keys()


def test_who_never_sleeps_is_found_out_by_any_check_and_ends_it():
    assert found(Spins, except_for=all_but("R3", "R9")) == {"R9"}


# --- what one may say to the check -----------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (rule, kinds[-1])
        for rule, kinds in PLANTED.items()
        if kinds[-1] not in {AlwaysWantsMore, LeavesWhenForced}
    ],
)
def test_a_rule_can_be_switched_off(rule, kind):
    check_track_receiver(run_honest(kind), except_for={rule} | BROKEN_AS_WELL.get(kind, set()))


def test_what_keeps_a_check_from_its_end_is_said_even_if_its_own_rule_is_switched_off():
    assert found(NeverRegisters, except_for=all_but("R4")) == {"R4"}


def test_a_rule_that_there_is_none_is_refused():
    with pytest.raises(ValueError, match="R10"):
        check_track_receiver(run_obey, except_for=["R10"])


def test_a_slow_encoder_may_be_given_grace():
    slow = partial(run_track_receiver, key_frame=1.5)
    with pytest.raises(ConformanceError, match="R2"):
        check_track_receiver(slow)
    check_track_receiver(slow, grace=1.6)


def test_a_rate_may_be_given_tolerance():
    check_track_receiver(run_honest(SendsALittleTooMuch), tolerance=0.15)


def test_a_longer_deadline_may_be_given():
    check_track_receiver(run_honest(Late), negotiation_timeout=0.1)


def test_who_polls_may_be_let():
    check_track_receiver(run_honest(Polls), except_for=all_but("R9"), wakeups=4_000)


def test_what_raises_at_once_is_said_once_with_its_cause():
    async def fail(_allocator):
        await trio.lowlevel.checkpoint()
        raise LookupError("no camera")

    with pytest.raises(ConformanceError, match="no camera") as caught:
        check_track_receiver(fail)
    (violation,) = caught.value.violations
    assert violation.invariant == "R5"
    assert isinstance(violation.__cause__, LookupError)


def test_a_check_that_can_not_be_finished_says_why():
    async def close(allocator):
        allocator.register_track_receiver(PLAIN)
        allocator.close()
        await trio.sleep_forever()

    with pytest.raises(ConformanceError, match="could not be finished") as caught:
        check_track_receiver(close)
    assert isinstance(caught.value.violations[0].__cause__, trio.ClosedResourceError)


# --- the documentation -----------------------------------------------------------------------


def shown_by_the_how_to():
    """The tests on the page docs/howto/test_a_receiver.md, by name."""
    page = (ROOT / "docs" / "howto" / "test_a_receiver.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in page.split("```python\n")[1:]:
        exec(block.split("```")[0], names)
    return {name: test for name, test in names.items() if name.startswith("test_")}


@pytest.mark.parametrize("name", shown_by_the_how_to())
def test_what_the_how_to_shows_passes(name):
    test = shown_by_the_how_to()[name]
    if inspect.iscoroutinefunction(test):
        trio.run(test, None, clock=trio.testing.MockClock(autojump_threshold=0))
    else:
        test()


def test_the_how_to_lists_all_rules():
    page = (ROOT / "docs" / "howto" / "test_a_receiver.md").read_text(encoding="utf-8")
    listed = [line.split()[1] for line in page.splitlines() if line.startswith("| R")]
    assert listed == list(RECEIVER_RULES)
