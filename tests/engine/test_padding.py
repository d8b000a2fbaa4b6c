"""The account of padding: what is due, whose it is, and what becomes of what is not sent."""

from __future__ import annotations

import pytest

from trio_allocator.engine.probing.padding import Meter, Padding, PaddingAccount

PACKET = 100
TICK = 0.5
TARGET = 8_000  # 1000 bytes a second: five packets a tick


class Desk:
    """A padding account, and those who share it."""

    def __init__(self, receivers: int = 1, target: int = TARGET, *, packet: int = PACKET) -> None:
        self.meter = Meter()
        self.padding = Padding(self.meter, packet)
        self.accounts = [PaddingAccount() for _ in range(receivers)]
        for number, account in enumerate(self.accounts):
            self.padding.join(number, account)
        if target:
            self.padding.start(0.0, target, TICK)

    def read(self, number: int = 0) -> int:
        return self.padding.read(number, self.accounts[number])

    def sent(self, size: int, number: int = 0) -> None:
        self.padding.sent(self.accounts[number], size)

    def due(self, now: float) -> list[int]:
        """What each can read after this tick."""
        self.padding.due(now)
        return self.unread

    @property
    def unread(self) -> list[int]:
        return [account.unread for account in self.accounts]

    def handed_out(self, now: float) -> int:
        """What all of them read after this tick."""
        self.padding.due(now)
        return sum(self.read(number) for number in range(len(self.accounts)))


# --- what is due -------------------------------------------------------------------------------


@pytest.mark.invariant("P2")
def test_a_tick_owes_what_its_time_is_worth_less_what_media_was_sent():
    desk = Desk()
    assert desk.handed_out(0.5) == 500
    desk.meter.media += 300
    assert desk.handed_out(1.0) == 200
    assert desk.handed_out(1.5) == 500


@pytest.mark.invariant("P2")
def test_what_makes_no_whole_packet_is_carried():
    desk = Desk(target=8_000)
    desk.meter.media += 250
    assert desk.handed_out(0.5) == 200
    desk.meter.media += 50
    assert desk.handed_out(1.0) == 500


@pytest.mark.invariant("P2")
def test_media_sent_before_it_began_pays_nothing():
    desk = Desk(target=0)
    desk.meter.media = 1_000
    desk.padding.start(7.0, TARGET, TICK)
    assert desk.handed_out(7.5) == 500


@pytest.mark.invariant("P2")
def test_surplus_media_is_banked_for_one_tick():
    desk = Desk()
    desk.meter.media += 5_000
    assert desk.handed_out(0.5) == 0
    assert desk.handed_out(1.0) == 0
    assert desk.handed_out(1.5) == 500


@pytest.mark.invariant("P2")
def test_a_late_tick_owes_two_at_most():
    desk = Desk()
    assert desk.handed_out(10.0) == 1_000
    assert desk.handed_out(10.5) == 500


@pytest.mark.invariant("P2")
def test_after_a_pause_it_starts_at_zero():
    desk = Desk()
    desk.padding.due(0.75)
    desk.padding.stop()
    desk.meter.media += 400
    desk.padding.start(3.0, TARGET, TICK)
    assert desk.handed_out(3.0) == 0
    assert desk.handed_out(3.5) == 500


@pytest.mark.invariant("P2")
def test_another_target_counts_from_when_it_was_declared():
    desk = Desk()
    desk.padding.start(0.25, 2 * TARGET, TICK)
    assert (desk.padding.target, desk.padding.tick) == (2 * TARGET, TICK)
    assert desk.handed_out(0.5) == 250 + 500 - 50
    assert desk.handed_out(0.5) == 0


# --- what waits unread -------------------------------------------------------------------------


@pytest.mark.invariant("P2", "C3")
def test_at_most_two_ticks_wait_unread_and_the_rest_is_not_owed():
    desk = Desk()
    assert [desk.due(when) for when in (0.5, 1.0, 1.5, 2.0)] == [[500], [1_000], [1_000], [1_000]]
    assert desk.read() == 1_000
    assert desk.due(2.5) == [600]  # one packet had been due, that nobody could take


@pytest.mark.invariant("P2")
def test_a_packet_always_finds_room():
    desk = Desk(target=80)  # five bytes a tick
    for tick in range(1, 20):
        assert desk.due(tick * TICK) == [0]
    assert desk.due(20 * TICK) == [100]


@pytest.mark.invariant("P2")
def test_who_has_padding_is_named_once():
    desk = Desk(2)
    assert desk.padding.due(0.5) == [0, 1]
    assert desk.padding.due(0.5) == []


@pytest.mark.invariant("P2")
def test_a_lower_target_takes_back_what_is_more_than_two_of_its_ticks():
    desk = Desk()
    desk.due(0.5)
    desk.due(1.0)
    desk.padding.start(1.0, TARGET // 4, TICK)  # 125 bytes a tick
    assert desk.unread == [200]
    assert desk.read() == 200
    desk.padding.due(1.0)
    assert desk.read() == 200  # what was taken back is owed again, two ticks at a time


@pytest.mark.invariant("P2")
def test_a_lower_target_takes_nothing_from_who_has_less():
    desk = Desk()
    desk.meter.media += 400
    desk.due(0.5)
    desk.padding.start(0.5, TARGET // 4, TICK)
    assert desk.unread == [100]


@pytest.mark.invariant("P2")
def test_the_end_takes_back_what_is_unread():
    desk = Desk(2)
    desk.due(0.5)
    desk.read(0)
    desk.padding.stop()
    assert desk.padding.target == 0
    assert desk.unread == [0, 0]


@pytest.mark.invariant("P2")
def test_what_was_read_is_not_shortened_any_more():
    desk = Desk()
    desk.due(0.5)
    assert desk.read() == 500
    desk.padding.start(0.5, 80, TICK)
    desk.padding.start(0.5, TARGET, TICK)
    assert desk.handed_out(1.0) == 500


# --- whose it is -------------------------------------------------------------------------------


@pytest.mark.invariant("P3")
def test_all_get_equal_parts_and_turns_go_round():
    desk = Desk(3)
    assert desk.due(0.5) == [200, 200, 100]
    assert desk.due(1.0) == [400, 300, 300]
    assert desk.due(1.5) == [500, 500, 500]


@pytest.mark.invariant("P3")
def test_who_can_take_no_more_is_passed_over():
    desk = Desk(2)
    for tick in range(1, 5):
        desk.due(tick * TICK)
        desk.read(0)
    assert desk.due(2.5)[1] == 1_000
    desk.read(0)
    assert desk.due(3.0) == [500, 1_000]


@pytest.mark.invariant("P3")
def test_what_nobody_can_take_is_not_owed():
    desk = Desk(receivers=0)
    desk.padding.due(5.0)
    account = PaddingAccount()
    desk.padding.join(1, account)
    assert desk.padding.due(5.0) == [1]
    assert account.unread == 100


@pytest.mark.invariant("L2", "P3")
def test_what_a_leaver_has_not_read_goes_to_the_others():
    desk = Desk(2)
    desk.due(0.5)
    desk.padding.leave(0)
    desk.padding.leave(0)
    assert desk.unread[0] == 0
    desk.padding.due(0.5)
    assert desk.unread == [0, 500]
    desk.padding.stop()
    assert desk.unread == [0, 0]


# --- what was really sent ----------------------------------------------------------------------


@pytest.mark.invariant("P2")
def test_what_was_sent_above_what_was_read_is_paid_for():
    desk = Desk()
    desk.handed_out(0.5)
    desk.sent(500)
    desk.sent(150)
    assert desk.accounts[0].unconfirmed == 0
    assert desk.handed_out(1.0) == 300
    desk.meter.media += 50
    assert desk.handed_out(1.5) == 500


@pytest.mark.invariant("P2")
def test_what_one_who_reports_has_not_sent_is_owed_when_it_comes_for_more():
    desk = Desk()
    desk.handed_out(0.5)
    desk.sent(200)
    assert desk.accounts[0].unconfirmed == 300
    desk.padding.due(1.0)
    assert desk.read() == 500
    desk.sent(500)
    assert desk.due(1.5) == [800]


@pytest.mark.invariant("P2")
def test_what_nobody_asked_for_and_is_sent_is_paid_for_to_the_byte():
    desk = Desk(packet=1)
    desk.sent(3)
    assert desk.handed_out(0.5) == 497


@pytest.mark.invariant("P2")
def test_one_who_reports_nothing_is_believed():
    desk = Desk()
    for tick in range(1, 5):
        assert desk.handed_out(tick * TICK) == 500


@pytest.mark.invariant("P2")
def test_what_a_leaver_read_and_did_not_send_is_owed_again():
    desk = Desk(2)
    desk.due(0.5)
    assert desk.read(0) == 300
    desk.sent(100, 0)
    desk.padding.leave(0)
    assert desk.due(0.5) == [0, 400]


@pytest.mark.invariant("P2")
def test_what_is_left_of_an_earlier_probe_is_owed_to_nobody():
    desk = Desk()
    desk.handed_out(0.5)
    desk.sent(100)
    desk.padding.stop()
    desk.padding.start(2.0, TARGET, TICK)
    desk.padding.due(2.5)
    assert desk.read() == 500
    assert desk.due(3.0) == [500]


@pytest.mark.invariant("P2")
def test_what_is_never_sent_leaves_a_debt_of_ten_ticks_at_most():
    desk = Desk(5)
    for idler in range(3):
        desk.sent(0, idler)  # it reports, and nothing follows
    for tick in range(1, 200):
        desk.handed_out(tick * TICK)
    for idler in range(3):
        desk.padding.leave(idler)
    made_up = 0
    while desk.padding.due(99.5):
        made_up += desk.read(3) + desk.read(4)
    assert made_up == 10 * 500 + PACKET


# --- to the byte -------------------------------------------------------------------------------


@pytest.mark.invariant("P2")
def test_surplus_is_banked_to_the_byte():
    desk = Desk(packet=1)
    desk.meter.media += 5_000
    desk.padding.due(0.5)
    assert desk.handed_out(1.0) == 0
    desk.meter.media += 499
    assert desk.handed_out(1.5) == 1


@pytest.mark.invariant("P2", "P3")
def test_what_nobody_can_take_leaves_no_more_than_a_packet_owed():
    desk = Desk()
    desk.due(1.0)
    desk.meter.media += 350
    assert desk.due(1.5) == [1_000]  # one packet and a half were due
    desk.read()
    desk.meter.media += 450
    assert desk.due(2.0) == [100]


@pytest.mark.invariant("P2")
def test_what_a_lower_target_takes_back_is_owed_to_the_byte_beside_what_was_owed():
    desk = Desk(2, packet=1)
    desk.meter.media += 300
    desk.padding.due(0.5)
    desk.read(0)
    desk.meter.media += 493
    desk.padding.due(1.0)
    assert desk.unread == [4, 103]
    desk.meter.media -= 10  # ten more are owed
    desk.padding.start(1.0, 160, TICK)  # ten bytes a tick
    assert desk.unread == [4, 20]
    desk.read(0)
    desk.read(1)
    desk.padding.start(1.0, TARGET, TICK)
    desk.padding.due(1.0)
    assert sum(desk.unread) == 10 + 83


@pytest.mark.invariant("L2", "P2")
@pytest.mark.parametrize("reads", [True, False])
def test_what_a_leaver_leaves_is_owed_to_the_byte_beside_what_was_owed(reads):
    desk = Desk(2, packet=1)
    desk.meter.media += 400
    desk.padding.due(0.5)
    assert desk.unread == [50, 50]
    if reads:
        desk.read(0)
        desk.sent(20, 0)
    desk.meter.media -= 7
    desk.padding.leave(0)
    heir = 50 + 7 + (30 if reads else 50)
    assert desk.due(0.5) == [0, heir]
    desk.sent(3, 0)  # what it sends after that was not asked for, and counts all the same
    desk.meter.media += 490
    assert desk.due(1.0) == [0, heir + 7]


@pytest.mark.invariant("C3", "L2")
def test_nothing_is_kept_of_who_has_read_or_left():
    desk = Desk(3)
    desk.due(0.5)
    desk.read(0)
    desk.padding.leave(1)
    assert list(desk.padding._unread) == [2]
    assert sorted(desk.padding._ring) == [0, 2]
    desk.padding.stop()
    assert desk.padding._unread == {}
