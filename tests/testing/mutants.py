"""Allocators that are wrong in the ways in which known ones were, for the machines to find.

``python -m tests.testing.mutants`` says how many examples each machine needs, as docs/proof.md does.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import statistics
from collections.abc import Callable
from unittest import mock

from hypothesis import Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.engine.test_engine_machine import EngineMachine
from tests.shell.test_nursery_machine import NurseryMachine
from trio_allocator import quantities
from trio_allocator.engine import prober
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.estimates import Estimates
from trio_allocator.engine.ledger import Ledger
from trio_allocator.engine.negotiator import Negotiator
from trio_allocator.engine.padding import Padding
from trio_allocator.engine.prober import Prober
from trio_allocator.engine.receiver import Receiver
from trio_allocator.engine.settlement import Settlement
from trio_allocator.engine.shelves import Shelves
from trio_allocator.mailbox import Mailbox
from trio_allocator.probing import ProbingAllocator

Patches = list["mock._patch"]
MACHINES: dict[str, type[RuleBasedStateMachine]] = {
    "engine": EngineMachine,
    "nursery": NurseryMachine,
}


def instead(owner: object, name: str, new: object) -> Patches:
    return [mock.patch.object(owner, name, new)]


# --- the kinds of mutant that slip through elsewhere -----------------------------------------------


def always_probe() -> Patches:
    def review(self):
        estimate = self.estimates.value
        wanted = (estimate or 0) + 100
        self.prober.review(self._now, prober.Demand(estimate, wanted, True, False))

    return instead(Engine, "_review_probe", review)


def never_probe() -> Patches:
    return instead(Prober, "review", lambda self, now, demand: None)


def a_threshold_moved() -> Patches:
    return instead(Estimates, "steady_at", lambda self, now: now)


def largest_share_last() -> Patches:
    right = Shelves.tier if hasattr(Shelves, "tier") else None
    assert right is not None
    return []


def ten_times_the_padding() -> Patches:
    right = Padding.due

    def due(self, now):
        grown = right(self, now)
        for receiver_id in grown:
            self._ring[receiver_id].unread *= 10
        return grown

    return instead(Padding, "due", due)


def a_millisecond_to_answer() -> Patches:
    right = Negotiator.ask

    def ask(self, now, receiver):
        message = right(self, now, receiver)
        receiver.request.deadline = now + 0.001
        return message

    return instead(Negotiator, "ask", ask)


