"""Allocators that are wrong in the ways in which known ones were, for the machines to find.

``python -m tests.testing.mutants`` says how many examples that takes, as docs/proof.md does.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from unittest import mock

import pytest
from attrs import evolve
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.engine.test_engine_machine import EngineMachine
from tests.shell.test_nursery_machine import NurseryMachine, open_spied_allocator
from trio_allocator import messages
from trio_allocator.engine.effects import DecisionReason
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.estimates import Estimates
from trio_allocator.engine.ledger import Ledger
from trio_allocator.engine.negotiator import AnswerError, Negotiator
from trio_allocator.engine.probing import prober
from trio_allocator.engine.probing.padding import Padding
from trio_allocator.engine.probing.prober import Prober
from trio_allocator.engine.receiver import Receiver
from trio_allocator.engine.settings import NEVER
from trio_allocator.engine.settlement import Settlement
from trio_allocator.engine.sharing import class_index
from trio_allocator.engine.sharing.first_fit import FirstFit
from trio_allocator.engine.sharing.sharing import Capacity
from trio_allocator.shell.mailbox import Mailbox
from trio_allocator.shell.registration import Registration

Patch = tuple[object, str, object]
"""Whose attribute, its name, and what stands there instead."""


class FairNurseryMachine(NurseryMachine):
    """With the built-in sharing, which the mutants break from inside."""

    def open_allocator(self):
        return open_spied_allocator(policy="fair", probe_reach=2.0)


MACHINES: dict[str, type[RuleBasedStateMachine]] = {
    "engine": EngineMachine,
    "nursery": FairNurseryMachine,
}
STEPS = 50


# --- the kinds of mutant that slip through elsewhere -----------------------------------------------


def always_probe() -> Patch:
    def review(self):
        estimate = self.estimates.value
        demand = prober.Demand(estimate, (estimate or 0) + 100, allowed=True, stuck=False)
        self.prober.review(self._now, demand)

    return Engine, "_review_probe", review


def never_probe() -> Patch:
    return Prober, "review", lambda self, now, demand: None


def probe_while_the_estimate_falls() -> Patch:
    return Estimates, "steady_at", lambda self, now: now


def ten_times_the_padding() -> Patch:
    right = Padding.due

    def due(self, now):
        grown = right(self, now)
        for receiver_id in grown:
            self._ring[receiver_id].unread *= 10
        return grown

    return Padding, "due", due


def a_millisecond_to_answer() -> Patch:
    right = Negotiator.ask

    def ask(self, now, receiver):
        message = right(self, now, receiver)
        receiver.request.deadline = now + 0.001
        return message

    return Negotiator, "ask", ask


def overuse_is_never_over() -> Patch:
    right = Engine._settle

    def settle(self):
        self.lowest_ever = min(getattr(self, "lowest_ever", math.inf), self.estimates.value or 0)
        true, self.estimates.value = self.estimates.value, self.estimates.value and self.lowest_ever
        right(self)
        self.estimates.value = true

    return Engine, "_settle", settle


def a_grant_is_not_booked() -> Patch:
    def grant(self, now, capacity):
        for receiver in list(self._planned.values()):
            why = DecisionReason.FITS
            self.tell(receiver, receiver.allocation, messages.GrantReason.GRANTED, why)

    return Settlement, "_grant", grant


def a_departure_frees_nothing() -> Patch:
    def remove(self, receiver):
        self.mark_waiting(receiver, None)
        del self._receivers[receiver.id]

    return Ledger, "remove", remove


def grant_anything() -> Patch:
    right = Settlement.settle

    def settle(self, now, capacity):
        right(self, now, Capacity(10**12, 10**12, 10**12, capacity.negotiate))

    return Settlement, "settle", settle


# --- the measured defects that have a counterpart here ---------------------------------------------


def an_ended_receiver_stays_in_the_round_robin() -> Patch:
    return Padding, "leave", lambda self, receiver_id: None


def a_late_answer_counts_for_the_next_request() -> Patch:
    right = Negotiator.counts

    def counts(self, receiver, request_id):
        try:
            return right(self, receiver, request_id) or receiver.id in self._outstanding
        except AnswerError:
            return receiver.id in self._outstanding

    return Negotiator, "counts", counts


def nobody_is_asked_at_a_steady_estimate() -> Patch:
    right = Settlement.settle

    def settle(self, now, capacity):
        falls = capacity.usable < getattr(self, "capacity_before", 0)
        self.capacity_before = capacity.usable
        right(self, now, evolve(capacity, negotiate=capacity.negotiate and falls))

    return Settlement, "settle", settle


def who_is_freed_for_depends_on_the_numbering() -> Patch:
    right = class_index._standing

    def standing(receiver, each):
        queue, (rank, need, turn, kind), *rest = right(receiver, each)
        if queue is each.waiting:
            turn = float(-receiver.id)
        return (queue, (rank, need, turn, kind), *rest)

    return class_index, "_standing", standing


def a_broken_promise_is_forgiven() -> Patch:
    return Engine, "_enforce_promise", lambda self, receiver: None


def who_registers_is_not_booked() -> Patch:
    def add(self, receiver):
        self._receivers[receiver.id] = receiver

    return Ledger, "add", add


def grants_are_forgotten_at_the_next_estimate() -> Patch:
    right = Engine.update_estimate

    def update_estimate(self, now, bitrate):
        self.ledger.committed = 0
        right(self, now, bitrate)

    return Engine, "update_estimate", update_estimate


def asking_for_what_is_held_cancels_nothing() -> Patch:
    right = Engine._request

    def request(self, receiver, bitrate):
        if bitrate != receiver.allocation:
            right(self, receiver, bitrate)

    return Engine, "_request", request


def padding_is_not_withdrawn() -> Patch:
    def stop(self):
        self.target = 0

    return Padding, "stop", stop


def a_probe_never_gives_up() -> Patch:
    return Prober, "_give_up", lambda self, demand: None


def the_exempt_are_granted_anything() -> Patch:
    right = Engine._request

    def request(self, receiver, bitrate):
        right(self, receiver, bitrate)
        if not receiver.options.negotiable and receiver.want > receiver.allocation:
            self.ledger.allocate(receiver, receiver.want)
            self.settlement.tell(receiver, messages.GrantReason.GRANTED)
            self.settlement.refresh(self._now, receiver)

    return Engine, "_request", request


def the_exempt_are_asked() -> Patch:
    return Receiver, "lowest", property(lambda self: min(self.allocation, self.floor))


def a_refusal_is_not_remembered() -> Patch:
    def refuse(self, now, receiver, kind, estimate):
        pass

    return Negotiator, "refuse", refuse


def nobody_waits_out_a_hold() -> Patch:
    return Settlement, "_hold", lambda self, now, receiver: None


def a_request_is_not_withdrawn() -> Patch:
    return Settlement, "withdraw", lambda self, receiver, reason: None


def classes_do_not_count() -> Patch:
    right = FirstFit._cut

    def cut(self, capacity, *, by_force, below=NEVER, extras_of=NEVER):
        if below == NEVER:
            right(self, capacity, by_force=by_force)

    return FirstFit, "_cut", cut


# --- what only the shell can get wrong -------------------------------------------------------------


def an_old_grant_hides_the_new_one() -> Patch:
    def put_grant(self, grant):
        if self._grant is None:
            self._grant = grant
            self.wake()

    return Mailbox, "put_grant", put_grant


def a_reader_is_not_woken() -> Patch:
    def put_request(self, request):
        self._request = request

    return Mailbox, "put_request", put_request


def rates_are_not_checked() -> Patch:
    def request_allocation(self, bitrate):
        self.check_open().request(self, int(float(bitrate or 0)) if bitrate == bitrate else 0)

    return Registration, "request_allocation", request_allocation


def a_cancelled_receiver_keeps_its_bandwidth() -> Patch:
    return Registration, "close", lambda self: None


BOTH = ("nursery", "engine")
ENGINE_FIRST = ("engine", "nursery")
SHELL = ("nursery",)
MUTANTS: dict[Callable[[], Patch], tuple[str, ...]] = {
    always_probe: BOTH,
    never_probe: BOTH,
    probe_while_the_estimate_falls: BOTH,
    ten_times_the_padding: ENGINE_FIRST,
    a_millisecond_to_answer: BOTH,
    overuse_is_never_over: BOTH,
    a_grant_is_not_booked: BOTH,
    a_departure_frees_nothing: BOTH,
    grant_anything: BOTH,
    an_ended_receiver_stays_in_the_round_robin: BOTH,
    a_late_answer_counts_for_the_next_request: ENGINE_FIRST,
    nobody_is_asked_at_a_steady_estimate: BOTH,
    who_is_freed_for_depends_on_the_numbering: BOTH,
    a_broken_promise_is_forgiven: ENGINE_FIRST,
    who_registers_is_not_booked: BOTH,
    grants_are_forgotten_at_the_next_estimate: BOTH,
    asking_for_what_is_held_cancels_nothing: ENGINE_FIRST,
    padding_is_not_withdrawn: BOTH,
    a_probe_never_gives_up: ENGINE_FIRST,
    the_exempt_are_granted_anything: BOTH,
    the_exempt_are_asked: BOTH,
    a_refusal_is_not_remembered: BOTH,
    nobody_waits_out_a_hold: BOTH,
    a_request_is_not_withdrawn: BOTH,
    classes_do_not_count: BOTH,
    an_old_grant_hides_the_new_one: SHELL,
    a_reader_is_not_woken: SHELL,
    rates_are_not_checked: SHELL,
    a_cancelled_receiver_keeps_its_bandwidth: SHELL,
}
"""What is planted, and the machines that can see it, the quicker one first."""


def examples_until_found(
    mutant: Callable[[], Patch], machine: str, *, at_most: int, by_chance: bool
) -> int | None:
    """How many examples a machine needs to notice a mutant; None if it does not.

    Args:
        mutant: What is planted.
        machine: Which of `MACHINES`.
        at_most: How many examples are tried.
        by_chance: Others each time, or always the same.
    """
    tried = 0

    def counted() -> RuleBasedStateMachine:
        nonlocal tried
        tried += 1
        return MACHINES[machine]()

    owner, name, new = mutant()
    search = settings(
        max_examples=at_most,
        stateful_step_count=STEPS,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=not by_chance,
        suppress_health_check=list(settings().suppress_health_check),
        report_multiple_bugs=False,
    )
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(owner, name, new))
        try:
            run_state_machine_as_test(counted, settings=search)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, it was noticed
            return tried - 1  # it was run once more, to be sure
    return None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.testing.mutants", description=__doc__)
    parser.add_argument("--tries", type=int, default=5, help="searches for each mutant")
    parser.add_argument("--at-most", type=int, default=500, help="examples in a search")
    parser.add_argument("names", nargs="*", help="of mutants, such as never_probe; all of them")
    parser.add_argument("--json", action="store_true", help="for machines")
    arguments = parser.parse_args()
    logging.disable()
    table = {}
    chosen = [m for m in MUTANTS if not arguments.names or m.__name__ in arguments.names]
    for mutant in chosen:
        for machine in MUTANTS[mutant]:
            found = [
                examples_until_found(mutant, machine, at_most=arguments.at_most, by_chance=True)
                for _ in range(arguments.tries)
            ]
            hits = [n for n in found if n is not None]
            entry = {
                "found": len(hits),
                "tries": len(found),
                "median": statistics.median(hits) if hits else None,
                "most": max(hits, default=None),
            }
            table[f"{mutant.__name__} {machine}"] = entry
            if not arguments.json:
                print(
                    f"| {mutant.__name__.replace('_', ' ')} | {machine} | {entry['median']} | "
                    f"{entry['most']} | {entry['found']} of {entry['tries']} |",
                    flush=True,
                )
    if arguments.json:
        print(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
