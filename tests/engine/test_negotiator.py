"""Requests and refusals: who is asked for what, which answers count, and when it is over."""

from __future__ import annotations

import math

import pytest

from tests.engine.support import NOW, ladder, record
from trio_allocator.engine.negotiation import Negotiation, RefusalKind
from trio_allocator.engine.negotiator import AnswerError, Negotiator
from trio_allocator.engine.settings import Settings
from trio_allocator.messages import DecreaseAllocation


@pytest.fixture
def negotiator():
    return Negotiator(Settings(negotiation_timeout=1.0, refusal_backoff=5.0))


def asked(negotiator, receiver, limit, now=NOW) -> DecreaseAllocation:
    receiver.projected = limit
    return negotiator.ask(now, receiver)


def lowered(negotiator, receiver, bitrate) -> bool:
    receiver.allocation = bitrate
    return negotiator.lowered(receiver)


def expired(negotiator, now, estimate=0, heard_until=math.inf):
    return [(r.id, kind) for r, kind in negotiator.expire(now, estimate, heard_until)]


def lapsed(negotiator, now, estimate=None) -> list[int]:
    return [receiver.id for receiver in negotiator.lapsed(now, estimate)]


# --- asking ------------------------------------------------------------------------------------


@pytest.mark.invariant("N2", "N3")
def test_a_request_says_what_is_held_and_what_is_wanted_and_has_a_deadline(negotiator):
    receiver = record(550, 100, 300, 500, number=3)
    request = asked(negotiator, receiver, 110)
    assert (request.allocation, request.limit, request.receiver_id) == (550, 110, 3)
    assert receiver.negotiation is Negotiation.ASKED
    assert (receiver.request.id, receiver.request.limit) == (request.request_id, 110)
    assert receiver.last_request == request.request_id
    assert negotiator.outstanding == {3: receiver}
    assert negotiator.wake_at == receiver.request.deadline == NOW + 1


@pytest.mark.invariant("N2")
def test_each_request_has_an_id_of_its_own(negotiator):
    receivers = [record(550, 500, number=number) for number in (1, 2)]
    ids = set()
    for _ in range(3):
        for receiver in receivers:
            ids.add(asked(negotiator, receiver, 0).request_id)
            negotiator.withdraw(receiver)
    assert len(ids) == 6


@pytest.mark.invariant("N6")
@pytest.mark.parametrize(
    ("ladder_rates", "options", "limit", "enough"),
    [
        ((100, 300, 500), {}, 110, 330),  # one step is enough
        ((100, 300, 500), {}, 400, 400),  # and no more than is wanted
        ((), {}, 150, 350),  # without steps, half the way
        ((), {}, 151, 350),
        ((), {"min_bitrate": 550, "pausable": True}, 0, 0),  # from a minimum, all of it
    ],
)
def test_how_much_keeps_a_promise(ladder_rates, options, limit, enough, negotiator):
    receiver = record(550, *ladder_rates, **options)
    asked(negotiator, receiver, limit)
    assert receiver.request.enough == enough
    assert lowered(negotiator, receiver, enough + 1) is False
    assert lowered(negotiator, receiver, enough) is True
    assert (receiver.request, negotiator.outstanding) == (None, {})
    assert lowered(negotiator, receiver, 0) is False


@pytest.mark.invariant("N4")
def test_a_floor_that_rises_raises_what_is_asked_for(negotiator):
    receiver = record(550, 100, 300, 500)
    asked(negotiator, receiver, 110)
    receiver.configure(ladder(400, 450, 500), receiver.options)
    negotiator.reconsider(receiver)
    assert (receiver.request.limit, receiver.request.enough) == (440, 495)


@pytest.mark.invariant("N4")
def test_a_floor_that_falls_changes_nothing_of_what_was_asked(negotiator):
    receiver = record(550, 300, 500)
    asked(negotiator, receiver, 330)
    receiver.configure(ladder(100, 500), receiver.options)
    negotiator.reconsider(receiver)
    assert (receiver.request.limit, receiver.request.enough) == (330, 330)
    negotiator.reconsider(record(550, 500))  # not asked: nothing to reconsider


# --- answers -----------------------------------------------------------------------------------


@pytest.mark.invariant("N2")
def test_one_answer_counts_and_a_second_one_is_an_error(negotiator):
    receiver = record(550, 500)
    request = asked(negotiator, receiver, 0)
    assert negotiator.counts(receiver, request.request_id) is True
    negotiator.accept(receiver)
    assert receiver.negotiation is Negotiation.PLEDGED
    with pytest.raises(AnswerError, match=f"{request.request_id}"):
        negotiator.counts(receiver, request.request_id)


@pytest.mark.invariant("N2")
def test_an_answer_to_a_request_withdrawn_or_replaced_does_not_count(negotiator):
    receiver = record(550, 500)
    first = asked(negotiator, receiver, 0)
    negotiator.withdraw(receiver)
    assert negotiator.counts(receiver, first.request_id) is False
    second = asked(negotiator, receiver, 0)
    assert negotiator.counts(receiver, first.request_id) is False
    assert negotiator.counts(receiver, second.request_id) is True


@pytest.mark.invariant("N2")
def test_an_answer_to_what_was_never_sent_is_an_error(negotiator):
    receiver, other = record(550, 500, number=1), record(550, 500, number=2)
    with pytest.raises(AnswerError):
        negotiator.counts(receiver, 0)
    foreign = asked(negotiator, other, 0).request_id
    own = asked(negotiator, receiver, 0).request_id
    stride = own - receiver.id
    for request_id in (foreign, receiver.id, own + stride, own - 2 * stride, own + 1, 0):
        with pytest.raises(AnswerError, match=f"{request_id}"):
            negotiator.counts(receiver, request_id)


@pytest.mark.invariant("C3")
def test_the_last_eight_answers_are_told_from_requests_that_lapsed(negotiator):
    receiver = record(550, 500)
    ids = []
    for _ in range(9):
        ids.append(asked(negotiator, receiver, 0).request_id)
        negotiator.reject(NOW, receiver, 100)
        negotiator.forget_refusal(receiver)
    assert receiver.answered == tuple(ids[-8:])
    assert negotiator.counts(receiver, ids[0]) is False


@pytest.mark.invariant("N5")
def test_a_rejection_ends_the_request_and_is_a_refusal(negotiator):
    receiver = record(550, 500)
    asked(negotiator, receiver, 0)
    negotiator.reject(NOW + 0.5, receiver, 400)
    assert (receiver.negotiation, receiver.request) == (Negotiation.IDLE, None)
    assert negotiator.outstanding == {}
    assert negotiator.wake_at == math.inf
    refusal = receiver.refusal
    assert (refusal.kind, refusal.estimate) == (RefusalKind.REJECTED, 400)
    assert refusal.until == NOW + 5.5


# --- deadlines ---------------------------------------------------------------------------------


@pytest.mark.invariant("N3", "N4")
def test_at_the_deadline_silence_is_told_from_a_broken_promise(negotiator):
    silent, breaking = record(550, 500, number=1), record(550, 500, number=2)
    asked(negotiator, silent, 0)
    asked(negotiator, breaking, 0)
    negotiator.accept(breaking)
    assert expired(negotiator, NOW + 0.999) == []
    assert expired(negotiator, NOW + 1, 400) == [(1, RefusalKind.SILENT), (2, RefusalKind.BREACH)]
    assert negotiator.outstanding == {}
    for receiver, kind in ((silent, RefusalKind.SILENT), (breaking, RefusalKind.BREACH)):
        assert receiver.negotiation is Negotiation.IDLE
        assert receiver.refusal.kind is kind
        assert (receiver.refusal.estimate, receiver.refusal.until) == (400, NOW + 6)


@pytest.mark.invariant("N3")
def test_whoever_had_no_turn_yet_is_not_judged(negotiator):
    first, second = record(550, 500, number=1), record(550, 500, number=2)
    asked(negotiator, first, 0, NOW)
    asked(negotiator, second, 0, NOW + 0.5)
    assert expired(negotiator, NOW + 9, heard_until=NOW + 1) == [(1, RefusalKind.SILENT)]
    assert negotiator.wake_at == NOW + 1.5
    assert expired(negotiator, NOW + 9, heard_until=NOW + 1.5) == [(2, RefusalKind.SILENT)]


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.invariant("N5")
def test_a_refusal_lapses_after_its_time(negotiator):
    for number in (1, 2):
        negotiator.refuse(NOW + number, record(9, number=number), RefusalKind.REJECTED, 400)
    assert lapsed(negotiator, NOW + 5.9) == []
    assert lapsed(negotiator, NOW + 6) == [1]
    assert lapsed(negotiator, NOW + 99) == [2]
    assert lapsed(negotiator, NOW + 99) == []


@pytest.mark.invariant("N5")
def test_a_refusal_lapses_when_the_estimate_is_lower_than_it_was_then(negotiator):
    receivers = [record(9, number=number) for number in (1, 2, 3)]
    for receiver, estimate in zip(receivers, (300, 400, 500), strict=True):
        negotiator.refuse(NOW, receiver, RefusalKind.REJECTED, estimate)
    assert lapsed(negotiator, NOW, 500) == []
    assert lapsed(negotiator, NOW, 399) == [3, 2]
    assert [receiver.refusal is None for receiver in receivers] == [False, True, True]
    assert lapsed(negotiator, NOW, 0) == [1]
    assert lapsed(negotiator, NOW + 99, 0) == []


@pytest.mark.invariant("N5")
def test_a_pardon_leaves_nothing_behind_and_may_be_said_twice(negotiator):
    receiver = record(9)
    negotiator.refuse(NOW, receiver, RefusalKind.REJECTED, 300)
    negotiator.forget_refusal(receiver)
    negotiator.forget_refusal(receiver)
    assert receiver.refusal is None
    assert lapsed(negotiator, NOW + 99, 0) == []


@pytest.mark.invariant("L2")
def test_of_who_leaves_nothing_is_left(negotiator):
    asking, refusing = record(550, 500, number=1), record(550, 500, number=2)
    asked(negotiator, asking, 0)
    negotiator.refuse(NOW, refusing, RefusalKind.SILENT, 300)
    negotiator.withdraw(asking)
    negotiator.forget_refusal(refusing)
    assert negotiator.outstanding == {}
    assert expired(negotiator, NOW + 99) == []
    assert lapsed(negotiator, NOW + 99, 0) == []
    assert (asking.request, refusing.refusal) == (None, None)
