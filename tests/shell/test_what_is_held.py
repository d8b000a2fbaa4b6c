"""Receivers hold what they can use: reports of others, replayed with numbers of our own.

Each is a fault that was reported of another system; what is right is in the test's name.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest
import trio
import trio.testing

from tests.shell.senders import LADDER, Sender, keep_estimating
from trio_allocator import Blocker, SwitchReason, open_allocator

POLICIES = ["layered", "fair", "water-filling"]


@pytest.fixture(params=POLICIES)
async def allocator(request, autojump_clock):
    async with open_allocator(policy=request.param) as allocator:
        yield allocator


@pytest.fixture
def estimates(allocator, nursery):
    return partial(nursery.start_soon, keep_estimating, allocator)


# A source that is off


@pytest.mark.parametrize("how", ["inactive", "muted", "active=[]", "one by one"])
async def test_receivers_that_are_off_hold_nothing_and_one_that_speaks_has_all(
    autojump_clock, allocator, estimates, nursery, how
):
    estimates(2_100_000)
    settings = {"active": []} if how == "active=[]" else {}
    off = [await Sender(allocator, f"off{n}", **settings).start(nursery) for n in range(14)]
    speaker = await Sender(allocator, "speaker", priority=1).start(nursery)
    await trio.sleep(10)
    for sender in off:
        if how == "muted":
            sender.receiver.mute()
        for variant in LADDER:
            if how == "inactive":
                sender.receiver.variant_inactive(variant)
            elif how == "one by one":
                sender.receiver.mute(variant)
    await trio.sleep(2)
    assert {sender.held for sender in off} == {0}
    await trio.sleep(3)
    assert speaker.current == "high"
    assert allocator.status.committed == LADDER["high"]


async def test_one_that_returns_is_there_again_at_once(
    autojump_clock, allocator, estimates, nursery
):
    estimates(600_000)
    one = await Sender(allocator, "one").start(nursery)
    other = await Sender(allocator, "other", pausable=True).start(nursery)
    await trio.sleep(5)
    one.receiver.mute()
    await trio.sleep(20)
    assert (one.held, one.current, other.current) == (0, None, "medium")
    one.told.clear()
    one.receiver.unmute()
    await trio.sleep(one.delay + 0.1)
    assert one.current is not None
    assert [reason for _, _, reason in one.told] == [SwitchReason.UNMUTED]


async def test_a_short_mute_costs_nothing(autojump_clock, allocator, estimates, nursery):
    estimates(2_000_000)
    one = await Sender(allocator, "one").start(nursery)
    await trio.sleep(5)
    for _ in range(5):
        one.receiver.mute()
        await trio.sleep(0.5)
        one.receiver.unmute()
        assert one.held == LADDER["high"]
        await trio.sleep(2)


# Variants that nobody sends


@pytest.mark.parametrize("take_away", ["variant_inactive", "mute"])
async def test_steps_that_nobody_sends_are_not_granted(
    autojump_clock, allocator, estimates, nursery, take_away
):
    estimates(700_000)
    below = await Sender(
        allocator, "below", {"low": 250_000, "high": 650_000}, pausable=True
    ).start(nursery)
    stage = await Sender(allocator, "stage", priority=1, pausable=True).start(nursery)
    await trio.sleep(5)
    for variant in ("low", "medium"):
        getattr(stage.receiver, take_away)(variant)
    await trio.sleep(2)
    below.told.clear()
    dark = 0
    for _ in range(300):
        await trio.sleep(0.2)
        dark += below.current is None
    assert (dark, stage.held, stage.current) == (0, 0, None)
    assert len(below.switches()) <= 1


# What may be paused, may be asked; what can pad, is asked to


async def test_thumbnails_that_may_be_paused_give_way(
    autojump_clock, allocator, estimates, nursery
):
    estimates(1_000_000)
    stage = await Sender(allocator, "stage", priority=2).start(nursery)
    small = [
        await Sender(allocator, f"small{n}", {"only": 90_000}, pausable=True).start(nursery)
        for n in range(20)
    ]
    await trio.sleep(20)
    assert stage.current == "medium"
    assert sum(sender.current is not None for sender in small) >= 5
    assert allocator.status.committed <= 1_000_000


@pytest.mark.parametrize("kind", ["screen", "audio", "video"])
async def test_one_that_was_given_the_means_is_asked_to_pad(
    autojump_clock, allocator, estimates, nursery, kind
):
    padding = []
    estimates(250_000)
    await Sender(
        allocator,
        "slides",
        {"slides": 250_000, "motion": 900_000},
        kind=kind,
        send_padding=padding.append,
    ).start(nursery)
    await trio.sleep(15)
    assert sum(padding) > 0


# What costs more than it says


async def test_what_proved_dearer_is_tried_ever_less_often(
    autojump_clock, allocator, estimates, nursery
):
    estimates(1_100_000)
    real = {"low": 120_000, "medium": 400_000, "high": 1_500_000}
    ladder = {**LADDER, "high": 950_000}
    one = await Sender(allocator, "one", ladder, rates=real.get).start(nursery)
    over = 0
    for _ in range(4_800):
        await trio.sleep(0.125)
        over += one.current == "high"
    assert over / 4_800 < 0.05
    tries = [now for now, variant, _ in one.switches() if variant == "high"]
    pauses = [after - before for before, after in pairwise(tries)]
    assert all(after > 1.5 * before for before, after in pairwise(pauses))


# A key frame that does not come


async def test_a_stalled_variant_holds_nothing_that_others_could_use(
    autojump_clock, allocator, estimates, nursery
):
    estimates(2_300_000)
    one = Sender(allocator, "one")
    one.stalled.add("high")
    await one.start(nursery)
    await trio.sleep(1)
    other = await Sender(allocator, "other").start(nursery)
    fine = 0
    for _ in range(600):
        await trio.sleep(0.5)
        fine += one.current == "medium" and other.current == "high"
    assert fine > 0.85 * 600
    reasons = [reason for _, _, reason in one.told]
    assert {SwitchReason.REPEATED, SwitchReason.STALLED} <= set(reasons)


@pytest.mark.parametrize("length", [3.0, 25.0])
async def test_a_source_that_stalls_for_a_while_is_back_soon(
    autojump_clock, allocator, estimates, nursery, length
):
    estimates(700_000)
    one = Sender(allocator, "one")
    one.stalled = set(LADDER)
    await one.start(nursery)
    await trio.sleep(length)
    assert one.current is None
    one.stalled.clear()
    await trio.sleep(10)
    assert one.current is not None


# Pauses


async def test_reports_of_nothing_now_and_then_do_not_make_it_flicker(
    autojump_clock, allocator, estimates, nursery
):
    number = 0

    def estimate():
        nonlocal number
        number += 1
        return 0 if number % 14 == 0 else 3_000_000

    estimates(estimate)
    one = await Sender(allocator, "one", pausable=True).start(nursery)
    await trio.sleep(120)
    pauses = [now for now, variant, _ in one.told if variant is None and now > 20]
    assert len(pauses) * 60 / 100 <= 6
    first, *further = [variant for _, variant, reason in one.told if reason is SwitchReason.RESUMED]
    assert first == "high", "a first resume has nothing to be careful for"
    assert set(further) == {"low"}


# Silence


async def test_silence_gives_back_as_much_as_a_trickle(
    autojump_clock, allocator, estimates, nursery
):
    estimates(6_000_000)
    kept = {}
    for trickle in (0, 5_000):
        moving = True
        one = await Sender(
            allocator,
            f"screen {trickle}",
            {"slides": 300_000, "motion": 1_300_000},
            rates=lambda _, trickle=trickle: 1_300_000 if moving else trickle,  # noqa: B023
        ).start(nursery)
        await trio.sleep(10)
        assert one.held == 1_300_000
        moving = False
        await trio.sleep(100)
        kept[trickle] = one.held
        moving = True
        await trio.sleep(5)
        assert one.held == 1_300_000, "what moves again has its own"
        moving = False
    assert kept[0] <= kept[5_000] < 1_300_000


@pytest.mark.parametrize("missing", [("low",), ("low", "medium")])
async def test_one_that_may_pause_does_if_nothing_that_fits_comes(
    autojump_clock, allocator, estimates, nursery, missing
):
    estimate = [2_100_000 if "medium" in missing else 700_000]
    estimates(lambda: estimate[0])
    one = await Sender(allocator, "one", pausable=True).start(nursery)
    await trio.sleep(15)
    flowing, one.stalled = one.current, set(missing)
    estimate[0] = 300_000
    await trio.sleep(7)
    assert (flowing is not None, one.current) == (True, None)
    estimate[0] = 2_100_000
    await trio.sleep(30)
    assert one.current == "high"


async def test_one_that_may_not_pause_flows_on_and_keeps_what_it_has(
    autojump_clock, allocator, estimates, nursery
):
    estimate = [2_100_000]
    estimates(lambda: estimate[0])
    one = await Sender(allocator, "one").start(nursery)
    await trio.sleep(15)
    one.stalled = {"low", "medium"}
    estimate[0] = 500_000
    await trio.sleep(7)
    for _ in range(60):
        await trio.sleep(1)
        assert one.current == "high"
        assert one.held >= LADDER["low"]
    assert not allocator.explain().of(one.receiver.handle.id).is_off
    estimate[0] = 2_100_000
    await trio.sleep(10)
    assert (one.current, one.held) == ("high", LADDER["high"])


async def test_what_flows_in_place_of_a_pinned_one_that_does_not_come_ends(
    autojump_clock, allocator, estimates, nursery
):
    estimates(2_100_000)
    one = await Sender(allocator, "one").start(nursery)
    await trio.sleep(5)
    one.stalled = {"medium"}
    one.told.clear()
    one.receiver.set_pin("medium")
    await trio.sleep(3)
    assert (one.current, one.told[-1][1:]) == (None, (None, SwitchReason.STALLED))
    await trio.sleep(10)
    assert (one.receiver.queued_variant, one.held) == ("medium", 0)  # hoped for
    one.stalled.clear()
    await trio.sleep(10)
    assert (one.current, one.held) == ("medium", LADDER["medium"])


async def test_a_step_that_stalled_is_not_granted_beside_one_that_flows(
    autojump_clock, allocator, estimates, nursery
):
    estimates(700_000)
    other = await Sender(allocator, "other").start(nursery)
    one = Sender(allocator, "one", priority=1)
    one.stalled = {"medium"}
    await one.start(nursery)
    await trio.sleep(4)
    assert (one.current, one.held) == ("low", LADDER["low"])
    assert Blocker.STALLED in allocator.explain().of(one.receiver.handle.id).blockers
    other.told.clear()
    await trio.sleep(8)  # until it is tried again
    assert (one.held, other.told) == (LADDER["low"], [])


async def test_raises_for_what_does_not_come_move_others_ever_more_rarely(
    autojump_clock, allocator, estimates, nursery
):
    estimates(920_000)
    ladder = {"low": 200_000, "high": 1_000_000}
    one = Sender(allocator, "one", ladder, pausable=True)
    one.stalled = {"low", "high"}
    other = Sender(allocator, "other", {"low": 150_000, "high": 450_000}, pausable=True)
    await Sender(allocator, "voice", {"only": 375_000}, priority=1).start(nursery)
    await other.start(nursery)
    await one.start(nursery)
    await trio.sleep(100)
    other.told.clear()
    await trio.sleep(120)
    assert len(other.told) <= 8


# One word


async def test_two_variants_that_vanish_at_once_are_one_message(
    autojump_clock, allocator, estimates, nursery
):
    estimates(2_500_000)
    one = await Sender(allocator, "one", target="medium").start(nursery)
    await trio.sleep(5)
    one.told.clear()
    now = trio.current_time()
    one.receiver.variant_inactive("low")
    one.receiver.variant_inactive("medium")
    await trio.sleep(1)
    assert one.told == [(now, "high", SwitchReason.INACTIVE)]


async def test_variants_that_come_together_are_one_message(
    autojump_clock, allocator, estimates, nursery
):
    estimates(2_500_000)
    one = await Sender(allocator, "one", active=()).start(nursery)
    await trio.sleep(5)
    now = trio.current_time()
    one.receiver.variant_active("low", "medium", "high")
    await trio.sleep(1)
    assert [variant for _, variant, _ in one.told] == ["high"]
    assert one.told[0][0] == pytest.approx(now)


async def test_who_is_off_is_no_reason_to_blame_the_network(
    autojump_clock, allocator, estimates, nursery
):
    estimates(900_000)
    one = await Sender(allocator, "one").start(nursery)
    await trio.sleep(3)
    one.receiver.mute()
    await trio.sleep(2)
    assert allocator.explain().of(one.receiver.handle.id).blocker is Blocker.SENDER


async def test_a_stalled_variant_is_named_until_it_comes(
    autojump_clock, allocator, estimates, nursery
):
    estimates(5_000_000)
    one = await Sender(allocator, "one").start(nursery)
    one.stalled.add("high")

    def told():
        return allocator.explain().of(one.receiver.handle.id)

    await trio.sleep(6)
    assert (one.current, told().blockers) == ("medium", (Blocker.STALLED,))
    assert "stalled" in str(told())
    one.stalled.clear()
    one.receiver.variant_active("high")
    await trio.sleep(1)
    assert (one.current, told().blockers) == ("high", (Blocker.SENDER,))


async def test_with_nothing_that_comes_it_is_off_since_it_stalled(
    autojump_clock, allocator, estimates, nursery
):
    estimates(5_000_000)
    one = Sender(allocator, "one")
    one.stalled.update(("low", "medium", "high"))
    await one.start(nursery)
    await trio.sleep(12)
    told = allocator.explain().of(one.receiver.handle.id)
    assert (told.is_off, told.blocker) == (True, Blocker.STALLED)
    assert str(told) == "one is off: no key frame of it comes (stalled)"


async def test_a_variant_that_costs_more_than_declared_is_named(
    autojump_clock, allocator, estimates, nursery
):
    estimates(2_000_000)
    dear = {"low": 120_000, "medium": 400_000, "high": 2_900_000}
    one = await Sender(allocator, "one", rates=dear.get).start(nursery)
    await trio.sleep(10)
    told = allocator.explain().of(one.receiver.handle.id)
    assert one.current == "medium"
    assert told.blockers == (Blocker.DEAR, Blocker.NETWORK)
    await trio.sleep(50)  # it is forgotten, and tried again
    seen = []
    for _ in range(100):
        seen.append(allocator.explain().of(one.receiver.handle.id).blocker)
        await trio.sleep(1)
    assert Blocker.DEAR in seen
