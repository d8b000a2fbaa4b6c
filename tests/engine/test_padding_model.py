"""Padding against a recount: no drift, no burst, fair to a packet (P2, P3)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from trio_allocator.engine.engine import Engine
from trio_allocator.engine.probing.padding import Meter, Padding, PaddingAccount
from trio_allocator.engine.settings import Settings
from trio_allocator.options import ReceiverOptions
from trio_allocator.tracks import Track


@pytest.mark.invariant("P2", "P3")
@given(
    target=st.integers(1, 5_000_000),
    tick=st.sampled_from([0.01, 0.02, 0.1]),
    packet=st.sampled_from([1, 100, 256]),
    receivers=st.integers(1, 5),
    media=st.lists(st.floats(0, 1), min_size=1, max_size=40),
)
def test_media_and_padding_follow_the_target_within_a_packet(
    target, tick, packet, receivers, media
):
    meter = Meter()
    padding = Padding(meter, packet)
    accounts = [PaddingAccount() for _ in range(receivers)]
    for number, account in enumerate(accounts):
        padding.join(number, account)
    padding.start(0.0, target, tick)
    booked = [0] * receivers
    for number, share in enumerate(media, 1):
        # Media never exceeds what is owed, so there is no surplus to bank.
        owed = target / 8 * number * tick - meter.media - sum(booked)
        meter.media += int(max(0, owed) * share)
        padding.due(number * tick)
        for index, account in enumerate(accounts):
            booked[index] += padding.read(index, account)
        followed = meter.media + sum(booked)
        short = target / 8 * number * tick - followed
        assert -1e-3 <= short < packet + 1e-3, "P2: off by more than a packet"
        assert max(booked) - min(booked) <= packet, "P3: not fair to a packet"


@pytest.mark.invariant("P2")
@given(burst=st.integers(0, 10**8), target=st.integers(80_000, 5_000_000))
def test_a_burst_of_media_silences_padding_for_one_tick_at_most(burst, target):
    meter, account = Meter(), PaddingAccount()
    padding = Padding(meter, 100)
    padding.join(1, account)
    padding.start(0.0, target, 0.01)
    meter.media += burst
    padding.due(0.01)
    padding.read(1, account)
    for number in range(2, 6):
        padding.due(number * 0.01)
    least = target / 8 * 0.01 * (4 - 1) - 100
    assert padding.read(1, account) >= min(least, 2 * target / 8 * 0.01 - 100), "P2"


@pytest.mark.invariant("P5")
@given(
    claim=st.integers(1, 10**7),
    last=st.integers(0, 10**6),
    age=st.sampled_from([0.0, 1.0, 3.0, 600.0]),
    others=st.booleans(),
)
def test_with_everything_waiting_and_nothing_sent_padding_still_goes_out(claim, last, age, others):
    engine = Engine(Settings(), now=0.0)
    options = ReceiverOptions(negotiable=True, can_pad=True)
    account = PaddingAccount()
    receiver = engine.register(0.0, Track("t"), options, 0, account)
    if others:  # somebody who waits for nothing is no reason to be silent
        fixed = ReceiverOptions(negotiable=False, can_pad=True)
        engine.register(0.0, Track("u"), fixed, last + 1, PaddingAccount())
    engine.update_estimate(0.0, last)
    engine.update_estimate(0.1, last // 3)
    now = 0.1 + age
    engine.request(now, receiver, claim + last)
    end, sent = now + 30.0, 0
    for _ in range(100_000):
        now = min(engine.wake_at, engine.prober.next_tick)
        if now > end:
            break
        if engine.wake_at <= now:
            engine.advance(now)
        engine.prober.tick(now)
        if account.unread:
            sent += engine.prober.padding.read(receiver.id, account)
    assert math.isfinite(now), "P5: nothing will ever happen again"
    assert sent > 0, "P5: no padding at all"
