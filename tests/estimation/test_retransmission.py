"""What may be sent again: each packet once a round trip, all of them at a share of the estimate."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation import RetransmissionBudget
from trio_allocator.estimation.retransmission import MOST

SIZE = 1_000
# A quarter of it is 100 kB a second, 25 kB in a quarter of one.
BITRATE = 3_200_000


@pytest.fixture
def budget():
    return RetransmissionBudget(BITRATE)


def test_a_packet_is_sent_again_once_a_round_trip(budget):
    assert budget.allow("a", SIZE, 0.0)
    assert not budget.allow("a", SIZE, 0.0)
    assert not budget.allow("a", SIZE, 0.0999)
    assert budget.allow("b", SIZE, 0.0999)
    assert budget.allow("a", SIZE, 0.1)
    assert not budget.allow("a", SIZE, 0.199)
    assert budget.allow("a", SIZE, 0.2)


def test_the_round_trip_is_what_it_is_told(budget):
    budget.set_rtt(0.03)
    assert budget.allow("a", SIZE, 0.0)
    assert not budget.allow("a", SIZE, 0.029)
    assert budget.allow("a", SIZE, 0.03)


def allowed(budget, until, interval=0.001, since=0.0):
    """Bytes allowed while somebody wants another packet all the time."""
    total = 0
    for tick in range(round((until - since) / interval)):
        now = since + tick * interval
        total += SIZE * budget.allow((now,), SIZE, now)
    return total


def test_all_of_them_get_a_quarter_of_the_estimate(budget):
    assert allowed(budget, 10.0) == pytest.approx(1_025_000, abs=2 * SIZE)


def test_what_is_saved_up_is_a_quarter_of_a_second_s_worth(budget):
    assert allowed(budget, 0.01) == 10_000
    other = RetransmissionBudget(BITRATE)
    burst = sum(other.allow(number, SIZE, 60.0) for number in range(100))
    assert burst == 25
    assert sum(other.allow(number, SIZE, 61.0) for number in range(100, 200)) == 25


def test_the_share_is_what_it_is_told():
    assert allowed(RetransmissionBudget(BITRATE, share=1.0), 1.0, 0.0005) == pytest.approx(
        500_000, abs=2 * SIZE
    )


def test_a_new_estimate_counts_from_then_on(budget):
    allowed(budget, 1.0)
    budget.set_bitrate(BITRATE / 10, 1.0)
    assert allowed(budget, 11.0, since=1.0) == pytest.approx(100_000, abs=3 * SIZE)


def test_what_was_saved_at_a_larger_one_is_gone(budget):
    budget.set_bitrate(BITRATE / 10, 5.0)
    assert sum(budget.allow(number, SIZE, 5.0) for number in range(100)) == 3


def test_what_was_saved_until_the_new_one_stays(budget):
    for number in range(25):
        budget.allow(number, SIZE, 0.0)
    budget.set_bitrate(BITRATE * 10, 0.01)
    assert budget.allow("a", SIZE, 0.01)
    assert not budget.allow("b", SIZE, 0.01)


def test_there_is_always_enough_for_one_packet_now_and_then():
    poor = RetransmissionBudget(8_000)  # 250 bytes a second
    assert poor.allow("a", SIZE, 0.0)
    assert poor.allow("b", SIZE, 0.0)
    assert not poor.allow("c", SIZE, 1.9)
    assert poor.allow("c", SIZE, 2.1)


def test_a_packet_that_was_refused_was_not_sent(budget):
    for number in range(25):
        assert budget.allow(number, SIZE, 0.0)
    assert not budget.allow("a", SIZE, 0.0)
    assert budget.allow("a", SIZE, 0.02)


def test_a_clock_that_goes_back_saves_nothing(budget):
    for number in range(25):
        budget.allow(number, SIZE, 5.0)
    assert not budget.allow("a", SIZE, 1.0)
    assert not budget.allow("a", SIZE, 5.0)


def test_it_remembers_no_longer_than_it_must(budget):
    for number in range(100):
        budget.allow(number, 1, number / 1_000)
    assert len(budget._repeated) == 100
    assert budget.allow("a", 1, 0.15)
    assert len(budget._repeated) == 51


def test_nor_more_than_it_can():
    rich = RetransmissionBudget(1e12)
    for number in range(MOST + 10):
        rich.allow(number, 1, 0.0)
    assert len(rich._repeated) == MOST


@given(
    st.lists(st.tuples(st.floats(0, 0.2), st.integers(0, 5), st.integers(1, 1_500)), max_size=100),
    st.integers(1, 10_000_000),
    st.floats(0.01, 1),
)
def test_never_more_than_the_share_and_what_was_saved(asked, bitrate, share):
    budget = RetransmissionBudget(bitrate, share=share)
    now = 0.0
    total = 0
    last = {}
    for pause, packet, size in asked:
        now += pause
        if budget.allow(packet, size, now):
            total += size
            assert now - last.get(packet, -1.0) >= 0.1
            last[packet] = now
            burst = max(share * bitrate * 0.25 / 8, 1_500)
            assert total <= burst + share * bitrate * now / 8 + 1_500 + 1e-6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RetransmissionBudget(-1), "bitrate"),
        (lambda: RetransmissionBudget(1, share=0), "share must be above 0"),
        (lambda: RetransmissionBudget(1, share=1.1), "share"),
        (lambda: RetransmissionBudget(1).set_bitrate(-1, 0.0), "bitrate"),
        (lambda: RetransmissionBudget(1).set_rtt(0), "rtt"),
        (lambda: RetransmissionBudget(1).allow("a", -1, 0.0), "size"),
    ],
)
def test_what_is_not_usable_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_byte_that_is_saved_is_enough(budget):
    assert budget.allow("all but one byte", 24_999, 0.0)
    assert budget.allow("a", SIZE, 0.0)
    assert not budget.allow("b", SIZE, 0.0)


def test_the_oldest_is_forgotten_and_not_the_newest(budget):
    budget.set_rtt(1e6)
    for number in range(MOST + 1):
        assert budget.allow(number, 0, 0.0)
    assert not budget.allow(MOST, 0, 1.0)
    assert not budget.allow(1, 0, 1.0)
    assert budget.allow(0, 0, 1.0)


def test_before_the_first_packet_nothing_is_saved_beyond_the_burst(budget):
    budget.set_bitrate(2 * BITRATE, 5.0)
    # 25 kB were saved, and nothing in five seconds in which nobody looked.
    assert budget.allow("a", 25_000, 5.0)
    assert not budget.allow("b", SIZE, 5.0)
