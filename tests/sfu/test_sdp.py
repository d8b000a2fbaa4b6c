"""Offers of real browsers are understood, and whatever else comes is refused in words."""

from __future__ import annotations

import random
import re
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from examples.sfu.codecs import H264, OPUS, VP8
from examples.sfu.ice import IceLite
from examples.sfu.rtp import LAYERS, RID, TRANSPORT_CC
from examples.sfu.sdp import (
    LARGEST,
    Answer,
    SdpError,
    build_answer,
    extension_lines,
    feedback_lines,
    parse_offer,
)
from tests.sfu.offers import PUBLISH, WATCH, without


def test_the_offer_of_a_publishing_browser_is_understood():
    offer = parse_offer(PUBLISH)
    video, audio = offer.sections
    assert (video.kind, video.mid, video.direction) == ("video", "0", "sendonly")
    assert video.rids == ("q", "h", "f")
    assert [each.codec for each in video.formats] == [VP8, H264]
    vp8 = video.formats[0]
    assert (vp8.payload_type, vp8.repeated) == (96, 97)
    assert {"transport-cc", "nack", "nack pli"} <= vp8.feedback
    assert {TRANSPORT_CC, RID, LAYERS} <= video.extensions.keys()
    assert [each.codec for each in audio.formats] == [OPUS]
    assert offer.allows_mixed
    assert video.format_of(OPUS) is None


def test_the_offer_of_a_watching_browser_is_understood():
    offer = parse_offer(WATCH)
    assert [section.direction for section in offer.sections] == ["recvonly", "recvonly"]
    assert offer.sections[0].rids == ()


def test_h264_is_taken_where_there_is_nothing_else():
    offer = parse_offer(PUBLISH.replace("VP8/90000", "VP7/90000"))
    chosen = offer.sections[0].formats[0]
    assert chosen.codec is H264
    assert "packetization-mode=1" in chosen.parameters


def test_lines_may_end_as_on_unix():
    assert parse_offer(PUBLISH.replace("\r\n", "\n")) == parse_offer(PUBLISH)


def test_layers_are_in_the_order_of_the_simulcast():
    offer = parse_offer(PUBLISH.replace("simulcast:send q;h;f", "simulcast:send f;~h,x;q;zz"))
    assert offer.sections[0].rids == ("f", "h", "q")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "this is no SDP"),
        (["v=0"], "this is no SDP"),
        ("hello", "this is no SDP"),
        ("v=0", "1 to 64 media sections"),
        ("v=0" + "\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0" * 65, "1 to 64 media sections"),
        (PUBLISH + "x" * LARGEST, "may have 100000 characters"),
        (without(PUBLISH, "a=fingerprint"), "one SHA-256 fingerprint"),
        (PUBLISH.replace("fingerprint:sha-256 ", "fingerprint:sha-256 AA"), "SHA-256 fingerprint"),
        (PUBLISH.replace("fingerprint:sha-256", "fingerprint:sha-1"), "SHA-256 fingerprint"),
        (without(PUBLISH, "a=mid"), "a=mid of 1 to 16"),
        (PUBLISH.replace("a=mid:0", "a=mid:a b"), "a=mid of 1 to 16"),
        (PUBLISH.replace("a=mid:0", "a=mid:1"), "a=mid of its own"),
        (without(PUBLISH, "a=group"), "one a=group:BUNDLE"),
        (re.sub("m=audio.*", "m=audio 9", PUBLISH), "a media section begins with"),
        (PUBLISH.replace("rid:q send", "rid:q/ send").replace("send q;", "send q/;"), "a rid has"),
    ],
)
def test_what_can_not_be_served_is_refused_in_words(text, message):
    with pytest.raises(SdpError, match=message):
        parse_offer(text)


@given(st.text(max_size=200) | st.text("am=:\r\nv0 ridmsuextfp/", max_size=200))
def test_any_text_is_read_or_refused(text):
    for whole in (text, "v=0\r\n" + text):
        with suppress(SdpError):
            parse_offer(whole)


@given(st.randoms(use_true_random=False))
def test_any_offer_that_was_damaged_is_read_or_refused(chance: random.Random):
    lines = PUBLISH.split("\r\n")
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                del lines[at]
            case 1:
                lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
            case 2:
                lines.insert(at, lines[chance.randrange(len(lines))])
            case _:
                lines[at] = lines[at].replace(" ", chance.choice(["", "  ", ":"]), 1)
        lines = lines or ["v=0"]
    with suppress(SdpError):
        parse_offer("\r\n".join(lines))


def test_an_answer_has_a_section_for_each_of_the_offer():
    offer = parse_offer(PUBLISH)
    video, audio = offer.sections
    chosen = video.formats[0]
    lines = [
        *feedback_lines(chosen, ("transport-cc", "unheard of")),
        *extension_lines(video, (RID, "unheard of")),
    ]
    ice = IceLite()
    text = build_answer(
        offer,
        [Answer(video, "recvonly", chosen, tuple(lines)), Answer(audio, "inactive", None)],
        ice=ice,
        fingerprint="AA:BB",
        address=("127.0.0.1", 5004),
        version=3,
    )
    assert text.endswith("\r\n")
    told = text.split("\r\n")
    assert [line for line in told if line.startswith("m=")] == [
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "m=audio 9 UDP/TLS/RTP/SAVPF " + " ".join(audio.payload_types),
    ]
    assert [line for line in told if "rtcp-fb" in line] == ["a=rtcp-fb:96 transport-cc"]
    assert [line for line in told if "extmap:" in line] == [
        f"a=extmap:{video.extensions[RID]} {RID}"
    ]
    assert told.count("a=setup:passive") == told.count(f"a=ice-pwd:{ice.password}") == 2
    assert "o=- 1 3 IN IP4 127.0.0.1" in told
    assert "unheard of" not in text


def test_an_answer_says_how_h264_is_sent_and_sent_again():
    offer = parse_offer(WATCH)
    video = offer.sections[0]
    chosen = video.format_of(H264)
    text = build_answer(
        offer,
        [
            Answer(video, "sendonly", chosen, uses_repeated=True),
            Answer(offer.sections[1], "inactive", None),
        ],
        ice=IceLite(),
        fingerprint="AA",
        address=("127.0.0.1", 1),
    )
    assert f"a=fmtp:{chosen.payload_type} {chosen.parameters}" in text
    assert f"a=fmtp:{chosen.repeated} apt={chosen.payload_type}" in text
