"""One that was overtaken too often: what becomes free is reserved for it, or it joins the queue again."""

from __future__ import annotations

import pytest

from tests.engine.support import NOW, asked, joined, opened
from trio_allocator.engine.probing.padding import PaddingAccount
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
