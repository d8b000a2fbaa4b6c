"""Which packets belong together, and how the groups drift apart."""

from __future__ import annotations

import pytest

from trio_allocator.estimation.groups import ArrivalGroups


def deltas(*packets):
    groups = ArrivalGroups()
    return [delta for packet in packets if (delta := groups.add(*packet)) is not None]


def test_two_whole_groups_and_the_begin_of_a_third_make_a_difference():
    assert deltas((0.0, 0.05), (0.02, 0.07)) == []
    assert deltas((0.0, 0.05), (0.02, 0.08), (0.04, 0.10)) == [pytest.approx((0.02, 0.01))]


def test_what_is_sent_within_five_milliseconds_is_one_group_with_its_last_packet_s_times():
    packets = [(0.0, 0.05), (0.004, 0.056), (0.02, 0.07), (0.0249, 0.085), (0.05, 0.11)]
    assert deltas(*packets) == [pytest.approx((0.0209, 0.0081))]


def test_what_is_sent_later_begins_a_group():
    packets = [(0.0, 0.05), (0.0051, 0.0571), (0.02, 0.08)]
    assert deltas(*packets) == [pytest.approx((0.0051, 0.002))]


def test_what_was_held_up_and_comes_in_one_go_is_one_group():
    held_up = [(0.02, 0.100), (0.03, 0.101), (0.04, 0.102)]
    assert deltas((0.0, 0.05), *held_up, (0.06, 0.122)) == [pytest.approx((0.04, 0.012))]


def test_one_go_lasts_no_longer_than_a_tenth_of_a_second():
    held_up = [(0.02 + 0.01 * n, 0.300 + 0.004 * n) for n in range(40)]
    assert len(deltas((0.0, 0.05), *held_up)) == 1


def test_what_comes_no_sooner_than_its_sending_has_it_is_no_part_of_a_go():
    assert len(deltas((0.0, 0.05), (0.01, 0.06), (0.0151, 0.0652), (0.03, 0.08))) == 2


def test_a_packet_of_an_earlier_group_is_left_out():
    packets = [(0.0, 0.05), (0.02, 0.07), (0.01, 0.09), (0.04, 0.09)]
    assert deltas(*packets) == [pytest.approx((0.02, 0.0))]


def test_packets_within_a_group_may_come_in_any_order():
    packets = [(0.0, 0.05), (0.02, 0.07), (0.024, 0.076), (0.022, 0.074), (0.05, 0.1)]
    assert deltas(*packets) == [pytest.approx((0.024, 0.002))]


def test_groups_that_overtake_each_other_tell_nothing():
    packets = [(0.0, 0.05), (0.004, 0.20), (0.02, 0.16), (0.04, 0.25), (0.06, 0.27)]
    assert deltas(*packets) == [pytest.approx((0.02, 0.07))]


def test_begun_anew_two_whole_groups_are_needed_again():
    groups = ArrivalGroups()
    for packet in ((0.0, 0.05), (0.02, 0.07), (0.04, 0.09)):
        groups.add(*packet)
    groups.clear()
    assert groups.add(0.06, 9.0) is None
    assert groups.add(0.08, 9.02) is None
    assert groups.add(0.10, 9.04) == pytest.approx((0.02, 0.0))
