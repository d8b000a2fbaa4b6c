"""What real stacks sent: every packet of every recording is read, and nothing it says is missed."""

from __future__ import annotations

import pytest

from tests.estimation import recordings
from trio_allocator.estimation import FeedbackReader, TransportFeedback, parse_compound

FILES = recordings.files()
BUILT_BY_LIBWEBRTC = ("libwebrtc.txt", "chromium.txt")


def test_there_are_recordings_of_three_stacks():
    assert len(FILES) >= 3


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def recording(request):
    return recordings.read(request.param)


def came(feedback):
    """About when it was sent, s: with the newest packet it tells of."""
    times = [arrival for arrival in feedback.arrivals if arrival is not None]
    return feedback.reference_time * 0.064 + max(times) / 1e6


def test_every_packet_is_read_and_built_again(recording):
    for packet in recording.packets:
        feedback = TransportFeedback.parse(packet)
        assert TransportFeedback.parse(feedback.build()) == feedback
        assert parse_compound(packet) == [feedback]


@pytest.mark.parametrize("name", BUILT_BY_LIBWEBRTC)
def test_what_libwebrtc_built_is_built_again_bit_for_bit(name):
    for packet in recordings.read(recordings.DATA / name).packets:
        assert TransportFeedback.parse(packet).build() == packet


def test_the_reader_learns_what_became_of_each_packet(recording):
    reader = FeedbackReader()
    told = {}
    for feedback in map(TransportFeedback.parse, recording.packets):
        for sequence, arrival in reader.read(
            feedback, now=came(feedback), last_sent=recording.last
        ):
            told.setdefault(sequence, []).append(arrival)
    assert told.keys() == set(range(recording.first, recording.last + 1))
    lost = {sequence for sequence, arrivals in told.items() if arrivals[-1] is None}
    assert lost == recording.missing
    assert reader.ignored == reader.clock_jumps == 0


def test_the_reader_learns_the_same_of_feedbacks_in_pairs_the_wrong_way_round(recording):
    reader = FeedbackReader()
    told = {}
    feedbacks = [TransportFeedback.parse(packet) for packet in recording.packets]
    for index in range(len(feedbacks)):
        swapped = min(index ^ 1, len(feedbacks) - 1)
        now = came(feedbacks[max(index, swapped)])
        told.update(reader.read(feedbacks[swapped], now=now, last_sent=recording.last))
    assert {sequence for sequence in told if told[sequence] is None} == recording.missing
    assert len(told) == recording.last - recording.first + 1


def test_arrivals_go_up_by_what_the_sender_paced(recording):
    reader = FeedbackReader()
    arrivals = []
    for feedback in map(TransportFeedback.parse, recording.packets):
        results = reader.read(feedback, now=came(feedback), last_sent=recording.last)
        arrivals += [arrival for _, arrival in results if arrival is not None]
    # 1000 bytes at 1 Mbit/s; who recorded took its time now and then.
    sent = recording.last - recording.first + 1
    assert 0.008 * len(arrivals) <= arrivals[-1] - arrivals[0] <= 0.008 * sent * 1.15


def test_a_file_that_does_not_say_what_was_sent_is_refused(tmp_path):
    path = tmp_path / "silent.txt"
    path.write_text("# made by somebody\n8fcd0000\n", encoding="ascii")
    with pytest.raises(ValueError, match=r"silent\.txt does not say what was sent"):
        recordings.read(path)
