"""One that was overtaken too often: what becomes free is reserved for it, or it joins the queue again."""

from __future__ import annotations

import pytest

from tests.engine.support import NOW, asked, joined, opened
from trio_allocator.engine.probing.padding import PaddingAccount
from trio_allocator.report.blockers import Blocker
from trio_allocator.report.explanation import explain
from trio_allocator.report.status import snapshot

pytestmark = pytest.mark.invariant("G8")


def overtaken(wants: int, capacity: int = 1_000):
    """An engine, and one that three others have overtaken, each with a tenth of the capacity."""
    engine = opened(capacity)
    joined(engine, capacity - 400, negotiable=False)
    senior = joined(engine, 0)
    engine.request(NOW, senior, wants)
    for second in range(3):
        engine.request(NOW + second, joined(engine, 0, now=NOW + second), 100)
    return engine, senior


def configure(engine, receiver, **changes) -> None:
    options = receiver.options.changed(changes)
    engine.configure(NOW + 3, receiver, receiver.track, options, PaddingAccount())


def test_what_becomes_free_is_reserved_for_it():
    engine, senior = overtaken(900)
    assert snapshot(engine).favoured == {senior.id: NOW + 2 + 5}


def test_if_it_could_not_be_served_by_all_there_is_it_joins_the_queue_again():
    engine, senior = overtaken(1_001)
    assert snapshot(engine).favoured == {}
    assert senior.waiting_since == NOW + 2


@pytest.mark.parametrize("end", ["leaves", "wants no more", "changes its class"])
def test_the_reservation_ends_when_it_waits_there_no_more(end):
    engine, senior = overtaken(900)
    if end == "leaves":
        engine.leave(NOW + 3, senior)
    elif end == "wants no more":
        engine.request(NOW + 3, senior, 0)
    else:
        configure(engine, senior, priority=1)
    assert snapshot(engine).favoured == {}


def test_one_that_changes_its_class_is_asked_for_those_of_the_class_it_left():
    engine = opened(715)
    one, other = (joined(engine, held, 150, 500, priority=1) for held in (550, 165))
    engine.request(NOW, other, 550)
    assert asked(engine.drain()) == {}
    configure(engine, one, priority=0)
    assert asked(engine.drain()) == {one.id: 165}


# --- better pictures wait a moment for lowest steps -----------------------------------------------


@pytest.fixture
def crowd():
    """Capacity for somebody's better picture, and not quite for somebody else's lowest step."""
    engine = opened(560)
    shown = joined(engine, 100, 100, 350, bare_steps=True)
    hidden = joined(engine, 0, 320, bare_steps=True, pausable=True)
    engine.update_estimate(NOW, 400)
    engine.request(NOW, hidden, 320)
    engine.request(NOW, shown, 350)
    return engine, shown, hidden


def test_a_better_picture_waits_while_somebody_waits_for_a_lowest_step(crowd):
    engine, shown, hidden = crowd
    assert (shown.allocation, hidden.allocation) == (100, 0)
    assert snapshot(engine).favoured == {hidden.id: NOW + 2}
    found = explain(engine).of(shown.id)
    assert (found.blockers, found.blocking, found.held_until) == (
        (Blocker.HOLD, Blocker.NETWORK),
        (hidden.id,),
        NOW + 2,
    )


def test_the_lowest_step_is_served_when_it_fits_and_nobody_is_lowered_for_it(crowd):
    engine, shown, hidden = crowd
    engine.update_estimate(NOW + 1, 420)
    assert (shown.allocation, hidden.allocation) == (100, 320)
    assert asked(engine.drain()) == {}
    assert snapshot(engine).favoured == {}


def test_a_lowest_step_that_does_not_come_to_fit_keeps_a_better_picture_back_once(crowd):
    engine, shown, hidden = crowd
    assert engine.wake_at <= NOW + 2
    engine.advance(NOW + 2)
    assert (shown.allocation, hidden.allocation) == (350, 0)
    assert snapshot(engine).favoured == {}


def test_each_further_raise_waits_once_more(crowd):
    engine, shown, hidden = crowd
    engine.advance(NOW + 2)
    other = joined(engine, 0, now=NOW + 3)
    engine.request(NOW + 3, other, 50)
    assert other.allocation == 0
    assert snapshot(engine).favoured == {hidden.id: NOW + 5}
    engine.advance(NOW + 5)
    assert (shown.allocation, other.allocation) == (350, 50)


@pytest.mark.parametrize("end", ["leaves", "wants no more"])
def test_a_better_picture_does_not_wait_for_one_that_waits_no_more(crowd, end):
    engine, shown, hidden = crowd
    if end == "leaves":
        engine.leave(NOW + 1, hidden)
    else:
        engine.request(NOW + 1, hidden, 0)
    assert shown.allocation == 350
    assert snapshot(engine).favoured == {}


def test_a_better_picture_that_does_not_fit_any_more_waits_anew_but_not_for_ever(crowd):
    engine, shown, hidden = crowd
    for ends in range(2, 11, 2):
        assert snapshot(engine).favoured == {hidden.id: NOW + ends}
        engine.update_estimate(NOW + ends - 1, 300)
        engine.advance(NOW + ends)
        assert snapshot(engine).favoured == {}
        assert shown.allocation == 100
        engine.update_estimate(NOW + ends, 400)
    assert (shown.allocation, snapshot(engine).favoured) == (350, {})


def test_a_better_picture_that_fits_now_and_then_is_served_though_a_lowest_step_never_fits():
    engine = opened(150)
    shown, hidden = joined(engine, 110, 100, 200), joined(engine, 0, 900)
    engine.request(NOW, shown, 220)
    engine.request(NOW, hidden, 990)
    for tick in range(1, 30):
        engine.update_estimate(NOW + tick / 2, 300 if tick % 2 else 200)
    assert (shown.allocation, hidden.allocation) == (220, 0)
