"""Estimator, pacer and budget together, on a link that is arithmetic: what comes out, with room."""

from __future__ import annotations

import math

import pytest

from trio_allocator.estimation import Limit
from trio_allocator.estimation.retransmission import BURST

from .link_model import PACKET, Link, RepeatingSender, Sender, run

OVERLOAD = [(0, 1_000_000), (15, 300_000), (35, 1_000_000)]
"""Of issue and link test alike: 1.0, 0.3, 1.0 Mbit/s."""

QUARTER = 0.25


def alone(link, duration, sender=None, **options):
    (trace,) = run(link, [sender or Sender(**options)], duration)
    return trace


def everything(_missing, late):
    return list(late)


def share_repeated(trace, begin, end):
    """Of the estimate, on average."""
    repeated = sum(size for time, size in trace.repeated if begin <= time < end)
    return 8 * repeated / (end - begin) / trace.mean(begin, end)


# --- overload ----------------------------------------------------------------------------------


def test_overload_is_answered_within_half_a_second_and_recovered_from_without_a_restart():
    trace = alone(Link(OVERLOAD), 50)
    assert trace.reaction(15, 300_000) <= 0.5
    assert 0.9 * 300_000 < trace.mean(20, 35) < 300_000
    assert trace.queue(17, 35) < 0.1
    assert trace.reach(35, 0.9 * 1_000_000) < 10


@pytest.mark.parametrize("queue", [37_500, 6_000])
def test_in_overload_at_most_a_quarter_of_the_estimate_is_sent_again(queue):
    """A receiver asks for what is lost in every report, until it has it."""
    trace = alone(Link(OVERLOAD, queue=queue), 50, RepeatingSender())
    assert share_repeated(trace, 15, 35) <= QUARTER
    assert trace.received(17, 35) > 0.95 * 300_000
    assert trace.reach(35, 0.9 * 1_000_000) < 10


def test_that_is_so_if_the_receiver_asks_for_everything_that_was_ever_sent():
    trace = alone(Link(OVERLOAD, queue=6_000), 50, RepeatingSender(wants=everything))
    # What the budget had saved up before the drop, and one packet more, come on top.
    saved = (BURST * QUARTER * 1_000_000 + 8 * PACKET) / 20 / trace.mean(15, 35)
    assert 0.8 * QUARTER < share_repeated(trace, 15, 35) <= QUARTER + saved
    assert all(
        share_repeated(trace, second, second + 1) < 1.5 * QUARTER for second in range(17, 35)
    )
    assert trace.mean(20, 35) > 0.7 * 300_000
    assert trace.reach(35, 0.9 * 1_000_000) < 10


def test_without_a_budget_it_would_be_the_end(monkeypatch):
    """The model has teeth: what the budget is there for does happen in it."""
    sender = RepeatingSender()
    monkeypatch.setattr(sender.budget, "allow", lambda *_: True)
    trace = alone(Link([(0, 1_000_000), (4, 300_000)], queue=6_000), 7, sender)
    assert share_repeated(trace, 4, 7) > 3


@pytest.mark.parametrize("rate", [100_000, 200_000])
@pytest.mark.parametrize("seed", range(3))
def test_however_deep_the_drop_it_never_goes_back_to_what_was(rate, seed):
    """The queue of a deep drop takes longer to drain than anything that is waited for."""
    trace = alone(Link([(0, 1_000_000), (15, rate), (35, 1_000_000)], seed=seed), 50, seed=seed)
    assert max(estimate for time, estimate in trace.estimates if 17 < time < 35) < 1.25 * rate
    assert trace.received(17, 35) > 0.95 * rate
    assert trace.reach(35, 0.9 * 1_000_000) < 15


# --- what there is, is found and used ----------------------------------------------------------


@pytest.mark.parametrize("rate", [200_000, 1_000_000, 5_000_000, 20_000_000])
def test_it_finds_and_uses_the_link(rate):
    trace = alone(Link([(0, rate)], queue=rate // 20), 20)
    assert trace.received(5, 20) > 0.93 * rate
    assert trace.queue(5, 20) < max(0.05, 3 * 8 * PACKET / rate)


def test_it_follows_steps():
    trace = alone(Link([(0, 1e6), (15, 2.5e6), (30, 0.6e6), (45, 1e6)]), 60)
    assert trace.reach(15, 0.9 * 2.5e6) < 6
    assert trace.reaction(30, 0.6e6) < 0.5
    assert trace.reach(45, 0.9 * 1e6) < 6


@pytest.mark.parametrize("loss", [0.02, 0.05])
def test_loss_by_chance_costs_little(loss):
    trace = alone(Link([(0, 1e6)], loss=loss), 30)
    assert trace.received(5, 30) > 0.88 * 1e6


def test_two_that_share_a_link_both_get_their_part():
    one, other = run(Link([(0, 2e6)]), [Sender(seed=1), Sender(seed=2, begin=5)], 60)
    assert one.received(20, 60) + other.received(20, 60) > 0.95 * 2e6
    assert min(one.received(20, 60), other.received(20, 60)) > 0.5e6


# --- what is not used --------------------------------------------------------------------------


@pytest.mark.parametrize("usage", [0.6, 0.65, 0.67, 0.7, 0.8])
def test_no_use_of_the_estimate_is_a_dead_zone(usage):
    """str0m's ``docs/BWE.md``: at 65 to 70 % neither growth nor libwebrtc's probes get further."""
    trace = alone(Link([(0, 2e6)]), 40, usage=usage)
    assert trace.mean(30, 40) > 0.85 * 2e6


def test_what_is_not_wanted_does_not_make_it_grow():
    sender = Sender(demand=200_000, probing=False)
    trace = alone(Link([(0, 5e6)]), 30, sender)
    assert max(estimate for _, estimate in trace.estimates) < 1.5 * 1.15 * 200_000 + 10_000
    assert sender.estimator.explain().limit is Limit.APPLICATION


def test_a_pause_costs_nothing():
    trace = alone(Link([(0, 2e6)]), 40, pauses=[(15, 25)])
    assert trace.estimate_at(25) > 0.9 * 2e6
    assert trace.received(27, 40) > 0.9 * 2e6


def test_after_silence_it_comes_back():
    class Deaf(Sender):
        def heard(self, results, now):
            if not 10 <= now < 15:
                super().heard(results, now)

    trace = alone(Link([(0, 2e6)]), 40, Deaf())
    assert trace.estimate_at(15) < 0.1 * 2e6
    assert trace.reach(15, 0.9 * 2e6) < 10
    assert math.isfinite(trace.reach(15, 2e6 * 0.95))
