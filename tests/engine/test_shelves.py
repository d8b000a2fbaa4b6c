"""Where a receiver stands: who can be cut, who waits, and what that comes to in its class."""

from __future__ import annotations

import math

import pytest

from tests.engine.support import NOW, ladder, record
from trio_allocator.engine.negotiation import Negotiation, Refusal, RefusalKind, Request
from trio_allocator.engine.sharing.shelves import Shelf, Shelves, restored

STEPS = (100, 300, 500)  # of 110, 330 and 550


def wanting(receiver, claim: int, since: float = NOW):
    receiver.set_claim(claim)
    receiver.waiting_since = since
    return receiver


def expecting(receiver, level: int):
    receiver.projected = level
    return receiver


def refusing(receiver):
    receiver.refusal = Refusal(RefusalKind.REJECTED, 0, math.inf)
    return receiver


def under_request(receiver, level: int, state: Negotiation = Negotiation.ASKED):
    expecting(receiver, level)
    receiver.negotiation = state
    receiver.request = Request(1, level, level, NOW)
    return receiver


def shelved(*receivers) -> Shelves:
    shelves = Shelves()
    for receiver in receivers:
        shelves.note(receiver)
    shelves.flush()
    return shelves


def shelf_of(*receivers) -> Shelf:
    """The class of some that are all in one."""
    (shelf,) = shelved(*receivers).classes.values()
    return shelf


def cuts(shelf: Shelf) -> tuple[list[int], list[int], int, int, int]:
    """Who is asked first and forced last, in order, and what that comes to."""
    queues = shelf.asked_first.in_order(), shelf.forced_last.in_order()
    return (*queues, shelf.cuttable, shelf.extra, shelf.askable)


def lines(shelf: Shelf) -> tuple[list[int], list[int], list[int], int]:
    """Who waits for a minimum, to keep what it holds, or for more; and what for in all."""
    return list(shelf.minimums), list(shelf.restorable), list(shelf.waiting), shelf.demand


# --- who can be cut ----------------------------------------------------------------------------


@pytest.mark.invariant("A1", "N8")
@pytest.mark.parametrize(
    ("receiver", "expected"),
    [
        (record(550, *STEPS), ([1], [], 440, 440, 440)),
        (record(550, *STEPS, pausable=True), ([1], [], 550, 440, 550)),
        (record(110, *STEPS, pausable=True), ([1], [], 110, 0, 110)),
        (record(110, *STEPS), ([], [], 0, 0, 0)),
        (record(50, *STEPS), ([], [], 0, 0, 0)),
        (record(550, *STEPS, negotiable=False), ([], [], 0, 0, 0)),
        (refusing(record(550, *STEPS)), ([], [1], 440, 440, 0)),
        (refusing(expecting(record(330, *STEPS), 550)), ([1], [], 220, 220, 220)),
        (expecting(record(330, *STEPS), 550), ([1], [], 440, 440, 440)),
        (under_request(record(550, *STEPS), 330), ([], [], 0, 0, 0)),
        (expecting(record(0, *STEPS, pausable=True), 110), ([1], [], 110, 0, 110)),
        (expecting(record(0, *STEPS), 110), ([1], [], 110, 0, 110)),
        (refusing(expecting(record(110, *STEPS, min_bitrate=300), 330)), ([1], [], 220, 0, 220)),
    ],
)
def test_what_can_be_taken_of_one_receiver_and_by_what_means(receiver, expected):
    assert cuts(shelf_of(receiver)) == expected


@pytest.mark.invariant("G8", "G6")
def test_plans_are_cut_before_what_is_held_and_extras_before_minimums():
    shelf = shelf_of(
        expecting(record(0, *STEPS, number=1), 110),
        record(110, *STEPS, number=2, pausable=True),
        record(330, *STEPS, number=3),
        expecting(record(110, *STEPS, number=4), 330),
        record(330, *STEPS, number=5),
        record(550, *STEPS, number=6, weight=2.0),
    )
    assert shelf.asked_first.in_order() == [4, 5, 3, 6, 1, 2]
    assert shelf.cuttable == shelf.askable == 110 + 110 + 220 + 220 + 220 + 440
    assert shelf.extra == 220 + 220 + 220 + 440


# --- who waits ---------------------------------------------------------------------------------


@pytest.mark.invariant("A1", "G8")
@pytest.mark.parametrize(
    ("receiver", "expected"),
    [
        (wanting(record(0, *STEPS), 550), ([1], [], [], 550)),
        (wanting(record(109, *STEPS), 550), ([1], [], [], 441)),
        (wanting(record(110, *STEPS), 550), ([], [], [1], 440)),
        (record(110, *STEPS), ([], [], [], 0)),
        (expecting(wanting(record(110, *STEPS), 550), 330), ([], [], [1], 220)),
        (expecting(wanting(record(110, *STEPS), 550), 550), ([], [], [], 0)),
        (under_request(wanting(record(330, *STEPS), 550), 330), ([], [], [], 0)),
        (under_request(record(550, *STEPS), 110), ([], [1], [], 440)),
        (under_request(record(550, *STEPS), 110, Negotiation.PLEDGED), ([], [], [], 0)),
        (refusing(expecting(record(550, *STEPS), 110)), ([], [1], [], 440)),
    ],
)
def test_what_one_receiver_waits_for(receiver, expected):
    assert lines(shelf_of(receiver)) == expected


@pytest.mark.invariant("G9")
def test_who_waits_out_a_hold_is_in_no_line():
    receiver = wanting(record(110, *STEPS), 550)
    receiver.held_until = NOW + 5
    shelf = shelf_of(receiver)
    assert lines(shelf) == ([], [], [], 0)
    assert len(shelf.seniors) == 0


@pytest.mark.invariant("G8")
def test_in_line_low_steps_come_first_then_the_longest_waiting_and_seniors_are_those():
    receivers = [
        wanting(record(330, *STEPS, number=1), 550, NOW - 9),
        wanting(record(110, *STEPS, number=2), 550, NOW - 1),
        wanting(record(110, *STEPS, number=3), 550, NOW - 2),
        wanting(record(0, *STEPS, number=4), 550, NOW - 5),
    ]
    shelves = shelved(*receivers)
    shelf = shelves.shelf_of(1)
    assert shelf.waiting.first_fitting(220) == 3
    assert shelf.minimums.first_fitting(110) == 4
    assert shelf.seniors.in_order() == [1, 3, 2]
    assert [shelves.senior_key(number) for number in (1, 4, 9)] == [(NOW - 9, 1), None, None]


@pytest.mark.invariant("P4")
def test_only_without_a_ladder_and_above_its_minimum_is_any_part_of_use():
    shelf = shelf_of(
        wanting(record(0, number=1, elastic=True), 500),
        wanting(record(100, number=2, elastic=True), 300),
        wanting(record(0, number=3), 500),
        wanting(record(110, *STEPS, number=4, elastic=True), 550),
        wanting(record(0, number=5, elastic=True, min_bitrate=100), 500),
    )
    assert shelf.elastic.in_order() == [2, 1]
    assert shelf.elastic.first() == ((200,), 2)
    assert shelf.waiting.first_fitting(1) == 1
    assert shelf.minimums.first_fitting(100) == 5


@pytest.mark.invariant("G3")
def test_what_was_to_be_taken_comes_back_minimums_first_then_the_lowest_rate_per_weight():
    shelf = shelf_of(
        refusing(expecting(record(330, *STEPS, number=1), 110)),
        refusing(expecting(record(330, *STEPS, number=2, weight=2.0), 110)),
        refusing(expecting(record(110, *STEPS, number=3, pausable=True), 0)),
        refusing(expecting(record(220, 200, number=4, pausable=True), 0)),
    )
    order = []
    while (first := shelf.restorable.first_fitting(10_000)) is not None:
        order.append(first)
        shelf.restorable.discard(first)
    assert order == [3, 4, 2, 1]


@pytest.mark.invariant("G2", "G3")
@pytest.mark.parametrize(
    ("receiver", "need"),
    [
        (refusing(expecting(record(550, *STEPS), 110)), 220),  # a step
        (under_request(record(550, *STEPS), 110), 440),  # all of it, or the request stands
        (under_request(record(550), 110), 440),
        (refusing(expecting(record(550), 110)), 1),  # any part
        (refusing(expecting(record(550, min_bitrate=300), 110)), 190),  # its minimum
        (refusing(expecting(record(550, min_bitrate=300), 299)), 1),
        (refusing(expecting(record(550, min_bitrate=300), 300)), 1),
        (refusing(expecting(record(200, min_bitrate=300), 110)), 90),
    ],
)
def test_how_much_is_needed_to_keep_more_of_what_is_held(receiver, need):
    shelf = shelf_of(receiver)
    assert shelf.restorable.need_of(1) == need


@pytest.mark.parametrize(
    ("receiver", "room", "level"),
    [
        (under_request(record(550, *STEPS), 110), 9, 550),
        (expecting(record(550, *STEPS), 0), 9, 110),
        (expecting(record(100, *STEPS), 0), 9, 100),
        (expecting(record(550, *STEPS), 110), 9, 330),
        (expecting(record(500, *STEPS), 330), 9, 500),
        (expecting(record(900, *STEPS), 550), 9, 900),
        (expecting(record(550), 110), 90, 200),
        (expecting(record(550), 110), 900, 550),
    ],
)
def test_the_next_level_back_up(receiver, room, level):
    assert restored(receiver, room) == level


# --- changes -----------------------------------------------------------------------------------


@pytest.mark.invariant("A1", "C3")
def test_who_changes_takes_all_its_parts_along():
    receiver = wanting(record(330, *STEPS, elastic=True), 550)
    shelves = shelved(receiver)
    before = shelves.shelf_of(1)
    assert (cuts(before), lines(before)) == (([1], [], 220, 220, 220), ([], [], [1], 220))
    receiver.configure(ladder(), receiver.options.changed({"priority": 3}))
    refusing(receiver)
    shelves.note(receiver)
    assert shelves.shelf_of(1) is before  # nobody has looked
    shelves.flush()
    after = shelves.shelf_of(1)
    assert (after.priority, after.members) == (3, 1)
    assert (cuts(after), lines(after)) == (([], [1], 330, 330, 0), ([], [], [1], 220))
    assert (after.seniors.in_order(), after.elastic.in_order()) == ([1], [1])
    assert (cuts(before), lines(before)) == (([], [], 0, 0, 0), ([], [], [], 0))
    assert (before.members, len(before.seniors), len(before.elastic)) == (0, 0, 0)
    assert list(shelves.classes) == [3]


@pytest.mark.invariant("A1", "P4")
def test_who_goes_to_another_class_leaves_those_behind_who_stay():
    mover = wanting(record(100, number=1, elastic=True), 500)
    stayer = wanting(record(100, number=2, elastic=True), 700)
    shelves = shelved(mover, stayer)
    mover.configure(mover.track, mover.options.changed({"priority": 1}))
    shelves.place(mover)
    for number, shelf in zip((2, 1), shelves.classes.values(), strict=True):
        assert cuts(shelf)[0] == lines(shelf)[2] == [number]
        assert shelf.seniors.in_order() == shelf.elastic.in_order() == [number]
        assert shelf.members == 1


@pytest.mark.invariant("A1")
def test_who_moves_within_its_class_stands_in_it_once():
    receiver = wanting(record(0, elastic=True), 500)
    shelves = shelved(receiver)
    shelf = shelves.shelf_of(1)
    for level, expected in (
        (200, (([1], [], 200, 200, 200), ([], [], [1], 300))),
        (500, (([1], [], 500, 500, 500), ([], [], [], 0))),
        (0, (([], [], 0, 0, 0), ([], [], [1], 500))),
    ):
        expecting(receiver, level)
        shelves.place(receiver)
        assert (cuts(shelf), lines(shelf)) == expected
        waits = [1] if level < 500 else []
        assert (shelf.seniors.in_order(), shelf.elastic.in_order()) == (waits, waits)
        assert shelf.members == 1
    under_request(receiver, 0)
    receiver.allocation = 400
    shelves.place(receiver)
    assert (cuts(shelf), lines(shelf)) == (([], [], 0, 0, 0), ([], [1], [], 400))
    assert (len(shelf.seniors), len(shelf.elastic)) == (0, 0)


@pytest.mark.invariant("A1", "L2")
def test_of_who_leaves_nothing_is_left_and_the_others_stay():
    leaver = wanting(record(100, number=1, elastic=True), 500)
    refuser = refusing(record(200, number=2))
    stayer = record(300, number=3)
    shelves = shelved(leaver, refuser, stayer)
    shelf = shelves.shelf_of(1)
    for receiver in (leaver, leaver, refuser, record(1, number=9)):
        shelves.drop(receiver)
    assert (cuts(shelf), lines(shelf)) == (([3], [], 300, 300, 300), ([], [], [], 0))
    assert (shelf.members, len(shelf.seniors), len(shelf.elastic)) == (1, 0, 0)
    assert shelves.senior_key(1) is None
    shelves.drop(stayer)
    assert len(shelves.classes) == 0
    shelves.note(stayer)
    shelves.drop(stayer)
    shelves.flush()
    assert len(shelves.classes) == 0


@pytest.mark.invariant("G8")
@pytest.mark.parametrize("change", ["served", "moved", "left", "another left", "another moved"])
def test_what_was_held_for_one_is_held_no_more_when_it_waits_no_more(change):
    receiver = wanting(record(100, number=1), 500)
    other = wanting(record(100, number=2), 500)
    third = record(100, number=3)
    shelves = shelved(receiver, other, third)
    shelf = shelves.shelf_of(1)
    shelf.favoured, shelf.favoured_until = 1, NOW + 5
    match change:
        case "served":
            shelves.place(expecting(receiver, 500))
        case "moved":
            receiver.configure(receiver.track, receiver.options.changed({"priority": 1}))
            shelves.place(receiver)
        case "left":
            shelves.drop(receiver)
        case "another left":
            shelves.drop(other)
        case _:
            other.configure(other.track, other.options.changed({"priority": 1}))
            shelves.place(other)
            shelves.place(expecting(third, 50))
            shelves.place(receiver)
    stays = change.startswith("another")
    assert (shelf.favoured, shelf.favoured_until) == ((1, NOW + 5) if stays else (None, math.inf))


@pytest.mark.invariant("G6")
def test_classes_are_listed_from_the_lowest():
    shelves = shelved(*(record(1, number=p, priority=p) for p in (7, 0, 255)))
    assert list(shelves.classes) == [0, 7, 255]
    assert [shelf.priority for shelf in shelves.classes.values()] == [0, 7, 255]
