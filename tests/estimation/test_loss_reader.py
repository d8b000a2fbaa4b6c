"""Receiver reports one after the other, and what share of all packets they say was lost."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trio_allocator.estimation import LossReader, ReceiverReport, ReportBlock
from trio_allocator.estimation.loss_reader import LONGEST_STEP, MOST_STREAMS


@pytest.fixture
def reader():
    return LossReader()


def report(*streams):
    """A report on streams, each (SSRC, highest number, lost in total)."""
    return ReceiverReport(
        1, tuple(ReportBlock(ssrc, 255, lost, highest) for ssrc, highest, lost in streams)
    )


def test_the_first_report_on_a_stream_says_nothing_of_a_span(reader):
    assert reader.read(report((5, 1000, 10))) is None
    assert reader.read(report((5, 1100, 20), (6, 50, 50))) == 0.1


def test_all_packets_count_alike(reader):
    reader.read(report((5, 1000, 0), (6, 1000, 0)))
    assert reader.read(report((5, 1900, 0), (6, 1100, 50))) == 0.05


def test_losses_count_since_the_last_report_on_the_stream(reader):
    reader.read(report((5, 1000, 100), (6, 0, 0)))
    reader.read(report((6, 100, 0)))
    assert reader.read(report((5, 1100, 150))) == 0.5


def test_without_a_packet_in_between_there_is_no_share(reader):
    reader.read(report((5, 1000, 0)))
    assert reader.read(report((5, 1000, 7))) is None
    assert reader.read(report()) is None


@pytest.mark.parametrize(("lost", "share"), [(-20, 0.0), (10, 0.0), (11, 0.01), (1000, 1.0)])
def test_a_share_is_a_share_though_packets_came_twice_or_the_peer_lies(reader, lost, share):
    reader.read(report((5, 1000, 10)))
    assert reader.read(report((5, 1100, lost))) == share


@pytest.mark.parametrize("highest", [999, 1000 + LONGEST_STEP, 2**32 - 1])
def test_a_stream_that_begins_anew_says_nothing_and_goes_on(reader, highest):
    reader.read(report((5, 1000, 0)))
    assert reader.read(report((5, highest, 0))) is None
    assert reader.read(report((5, highest + 10, 5))) == 0.5


def test_the_longest_step_that_counts(reader):
    reader.read(report((5, 0, 0)))
    assert reader.read(report((5, LONGEST_STEP - 1, LONGEST_STEP))) == 1.0


def test_the_stream_longest_unheard_of_is_forgotten(reader):
    for ssrc in range(MOST_STREAMS):
        reader.read(report((ssrc, 0, 0)))
    reader.read(report((0, 10, 0)))
    reader.read(report((MOST_STREAMS, 0, 0)))
    assert len(reader._last) == MOST_STREAMS
    assert reader.read(report((1, 10, 0))) is None
    assert reader.read(report((0, 20, 10))) == 1.0


blocks = st.builds(
    ReportBlock,
    ssrc=st.integers(0, 3),
    fraction_lost=st.integers(0, 255),
    cumulative_lost=st.integers(-(2**23), 2**23 - 1),
    highest_sequence=st.integers(0, 2**32 - 1) | st.integers(0, 1000),
)


@given(st.lists(st.lists(blocks, max_size=4).map(tuple)))
def test_whatever_comes_a_share_is_from_0_to_1(reports):
    reader = LossReader()
    for streams in reports:
        share = reader.read(ReceiverReport(1, streams))
        assert share is None or 0 <= share <= 1


def test_a_stream_of_which_nothing_came_since_is_no_loss_and_others_count(reader):
    reader.read(report((5, 1000, 10), (6, 1000, 0), (7, 1000, 0)))
    assert reader.read(report((5, 1000, 10), (6, 1100, 10), (7, 1100, 30))) == 0.2
