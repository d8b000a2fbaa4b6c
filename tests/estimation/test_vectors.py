"""Other stacks' test vectors: this package agrees, or a table says why it does not."""

from __future__ import annotations

from collections import Counter

import pytest

from .vectors import difference, load

EMPTY = "a feedback on no packet says nothing: it is refused, and costs no more than a count"
RESERVED = "the draft reserves symbol 3; libwebrtc refuses it, too"
SHORT = "there are fewer deltas than packets received: libwebrtc refuses it, too"
FAR = "two numbers that are near each other are believed, far from all others; here none follows"
LARGE = "a rate beyond 10¹⁵ bit/s is as good as that one"
RATE = "the longer of sending and arriving counts: what came in a burst was not sent so fast"

DIFFERENT = {
    ("libwebrtc_parts", "probe: IgnoreSizeFirstReceivePacket"): (
        "sizes do not decide whether a probe met the end of the link: its times do"
    ),
    ("libwebrtc_parts", "throughput: DelaySpike"): RATE,
    ("libwebrtc_parts", "throughput: ReorderedFeedback"): (
        "what a late feedback tells lies in the window for less time than with the peer"
    ),
    ("libwebrtc_parts", "throughput: ResetsIfReceiveClockChangeBackwards"): (
        "the reader, or a way that is 3 s shorter, tells of clocks; a rate alone does not guess"
    ),
    ("libwebrtc_parts", "interarrival: TwoBursts"): (
        "what arrives in one go joins for 0.1 s, and this goes on for longer"
    ),
    ("libwebrtc_wire", "NoRecvDelta (no timestamps): 7 of 13 received"): (
        "an extension that libwebrtc alone has: arrivals without times are of no use here"
    ),
    ("libwebrtc_wire", "generator: HandlesMalformedSequenceNumbers"): FAR,
    ("libwebrtc_wire", "generator: HandlesBackwardsWrappingSequenceNumbers"): FAR,
    ("libwebrtc_wire", "generator: RemovesTimestampsOutOfScope"): (
        "half a second counts from the newest arrival, with the peer from the newest report"
    ),
    ("libwebrtc_wire", "REMB does not fit 64 bits"): LARGE,
    ("libwebrtc_wire", "REMB does not fit 63 bits"): LARGE,
    ("libwebrtc_wire", "header a0000000"): "padding of a kind that is skipped is not looked at",
    ("libwebrtc_wire", "header a00000020000000000000009"): "as the one before",
    ("libwebrtc_wire", "header a00000020000000000000000"): "as the one before",
    ("mediasoup", "parse base 39 count 0"): EMPTY,
    ("mediasoup", "reserialize base 39 count 0"): EMPTY,
    ("pion_rtcp", "ChunkUnmarshal/chunk run example2 (reserved symbol)"): RESERVED,
    ("pion_rtcp", "ChunkUnmarshal/chunk vector example2 (reserved symbol)"): RESERVED,
    ("pion_rtcp", "Unmarshal/example2"): RESERVED,
    ("pion_rtcp", "Unmarshal/example3"): "it has the padding bit, and no bytes of padding",
    ("pion_rtcp", "Unmarshal/example5"): SHORT,
    ("pion_rtcp", "Unmarshal/example7"): EMPTY,
    ("pion_rtcp", "Marshal/example2"): "libwebrtc's choice of chunks, which says the same",
    ("pion_rtcp", "Marshal/example3"): "libwebrtc's choice of chunks, which says the same",
    ("str0m", "run_max (8195 statuses)"): (
        "a number that is more than 3000 away from the last is believed when another follows"
    ),
    ("str0m", "empty_twcc parses"): EMPTY,
    ("str0m", "send_register_loss: reserved symbol in first place"): RESERVED,
    ("str0m", "probe: lost packets do not affect"): (
        "of a probe, four fifths have to arrive; the peer does not know what was sent"
    ),
    ("str0m", "scenario: bwe_cellular"): (
        "the losses are drawn anew here: with one of three seeds a burst takes a fifth of a probe "
        "each time that it matters"
    ),
    ("str0m", "scenario: bwe_wifi_congested"): (
        "9 % of the packets get lost in bursts: that is taken for a full link, as the draft does"
    ),
    ("webrtc_rs", "unmarshal/example2"): RESERVED,
    ("webrtc_rs", "unmarshal/example5"): SHORT,
    ("webrtc_rs", "unmarshal/example3 again"): EMPTY,
}
"""Where this package does something else, and why."""

VECTORS = list(load())


@pytest.mark.parametrize(
    ("peer", "vector"),
    [pytest.param(*pair, id=f"{pair[0]}: {pair[1]['name']}") for pair in VECTORS],
)
def test_it_agrees_with_the_peer_or_says_why_not(peer, vector):
    found = difference(vector)
    if (peer, vector["name"]) in DIFFERENT:
        assert found is not None, "it agrees now: take it out of the table"
    else:
        assert found is None


def test_there_are_two_hundred_and_seventy_of_six_peers():
    counts = Counter(peer for peer, _ in VECTORS)
    assert (len(counts), counts.total()) == (6, 270)
    assert {(peer, vector["name"]) for peer, vector in VECTORS} >= DIFFERENT.keys()
