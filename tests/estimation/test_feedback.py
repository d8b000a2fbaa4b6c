"""One packet of transport-wide feedback: each rule of the draft, by bytes made by hand."""

from __future__ import annotations

import pytest
from hypothesis import example, given

from tests.estimation.feedbacks import MEDIA, SENDER, covering, feedbacks, transport_feedback
from trio_allocator.estimation import FeedbackError, TransportFeedback

parse = TransportFeedback.parse


def chunk(text):
    """16 bits, written as the draft draws them; what separates them is free."""
    digits = text.replace("|", "").replace(" ", "")
    assert len(digits) == 16
    return int(digits, 2).to_bytes(2, "big")


# --- reading ---------------------------------------------------------------------------------


def test_every_field_is_where_the_draft_draws_it():
    packet = bytes.fromhex(
        "8fcd0006"  # version 2, no padding, format 15, type 205, 7 words
        "01020304"
        "0a0b0c0d"
        "fffe0003"  # from 65534, three packets
        "7fffff80"  # reference time, count
        "2003"  # a run of three small deltas
        "010203"
        "000000"  # zero padding
    )
    assert parse(packet) == TransportFeedback(
        sender_ssrc=SENDER,
        media_ssrc=MEDIA,
        base_sequence=65534,
        reference_time=0x7FFFFF,
        feedback_count=0x80,
        arrivals=(250, 750, 1500),
    )


@pytest.mark.parametrize(
    ("bits", "received"),
    [
        ("0|00|0000000000011", "..."),
        ("0|01|0000000000011", "sss"),
        ("0|10|0000000000011", "lll"),
        ("1|0|01111100011100", ".sssss...sss.."),  # the draft's example
        ("1|0|10000000000001", "s............s"),
        ("1|0|00000000000000", ".............."),
        ("1|1|00 10 01 01 01 00 00", ".lsss.."),
        ("1|1|10 00 00 00 00 00 01", "l.....s"),
        ("1|1|00 00 00 00 00 00 00", "......."),
    ],
)
def test_each_kind_of_chunk(bits, received):
    deltas = b"".join({".": b"", "s": b"\x04", "l": b"\x00\x04"}[symbol] for symbol in received)
    feedback = parse(transport_feedback(chunk(bits), deltas, covered=len(received)))
    times = iter(range(1000, 100_000, 1000))
    assert feedback.arrivals == tuple(None if symbol == "." else next(times) for symbol in received)


def test_chunks_of_all_kinds_follow_each_other():
    chunks = chunk("0|01|0000000000010") + chunk("1|0|00000000000001") + chunk("1|1|10000000000000")
    deltas = b"\x01\x01" + b"\x01" + b"\xff\xff"
    feedback = parse(transport_feedback(chunks, deltas, covered=23))
    assert feedback.arrivals == (250, 500, *[None] * 13, 750, 500, *[None] * 6)


def test_a_run_of_8191_and_the_next_chunk():
    chunks = chunk("0|00|1111111111111") + chunk("0|01|0000000000001")
    feedback = parse(transport_feedback(chunks, b"\x02", covered=8192))
    assert feedback.arrivals == (*[None] * 8191, 500)


@pytest.mark.parametrize("bits", ["0|01|1111111111111", "1|0|11111111111111", "1|1|01010101010101"])
def test_what_a_chunk_covers_beyond_the_count_is_no_status(bits):
    assert parse(transport_feedback(chunk(bits), b"\x01\x01", covered=2)).arrivals == (250, 500)


def test_beyond_the_count_even_the_reserved_symbol_is_no_status():
    packet = transport_feedback(chunk("1|1|01 11 11 11 11 11 11"), b"\x01", covered=1)
    assert parse(packet).arrivals == (250,)


def test_a_run_of_none_is_legal_and_says_nothing():
    chunks = chunk("0|01|0000000000000") + chunk("0|01|0000000000001")
    assert parse(transport_feedback(chunks, b"\x01", covered=1)).arrivals == (250,)


@pytest.mark.parametrize(
    ("bits", "delta", "arrival"),
    [
        ("0|01|0000000000001", b"\x00", 0),
        ("0|01|0000000000001", b"\xff", 63_750),
        ("0|10|0000000000001", b"\x01\x00", 64_000),
        ("0|10|0000000000001", b"\x7f\xff", 8_191_750),
        ("0|10|0000000000001", b"\x80\x00", -8_192_000),
        ("0|10|0000000000001", b"\xff\xff", -250),
    ],
)
def test_deltas_of_one_byte_have_no_sign_and_those_of_two_have_one(bits, delta, arrival):
    assert parse(transport_feedback(chunk(bits), delta, covered=1)).arrivals == (arrival,)


@pytest.mark.parametrize("padding", [b"\x01", b"\x00\x02", b"\xaa\xaa\x03", b"\x00" * 4 + b"\x05"])
def test_padding_is_left_out_whatever_it_holds(padding):
    deltas = b"\x01" * ((2 - len(padding)) % 4 or 4)
    covered = len(deltas)
    packet = transport_feedback(
        chunk("0|01|1111111111111"), deltas, covered=covered, padding=padding
    )
    assert parse(packet).arrivals == tuple(250 * n for n in range(1, covered + 1))


def test_deltas_do_not_come_out_of_the_padding():
    packet = transport_feedback(chunk("0|01|0000000000010"), b"\x01", covered=2, padding=b"\x01")
    with pytest.raises(FeedbackError, match="need 2 bytes, but there are 1"):
        parse(packet)


def test_the_largest_feedback_is_read():
    chunks = chunk("0|00|1111111111111") * 8 + chunk("0|01|0000000000111")
    arrivals = parse(transport_feedback(chunks, b"\x01" * 7, covered=65535)).arrivals
    assert len(arrivals) == 65535
    assert arrivals[-1] == 1750


# --- what is refused ---------------------------------------------------------------------------

GOOD = transport_feedback(chunk("0|01|0000000000010"), b"\x01\x01", covered=2)


def changed(at, value):
    packet = bytearray(GOOD)
    packet[at] = value
    return bytes(packet)


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (b"", "needs 4 bytes, but there are 0"),
        (GOOD[:3], "needs 4 bytes, but there are 3"),
        (GOOD[:-1], "announces 24 bytes, but the packet has 23"),
        (GOOD + bytes(4), "announces 24 bytes, but the packet has 28"),
        (changed(0, 0x4F), "version 2, not 1"),
        (changed(0, 0x81), r"not \(205, 1\)"),
        (changed(1, 206), r"not \(206, 15\)"),
        (bytes.fromhex("8fcd0000"), "at least 20 bytes, this one has 4"),
        (bytes.fromhex("afcd0000"), "205 bytes|0 bytes of padding"),
        (transport_feedback(b"", b"", covered=0), "says nothing"),
        (transport_feedback(b"", b"", covered=1), "statuses of 0 only"),
        (transport_feedback(chunk("0|00|0000000000010"), b"", covered=3), "statuses of 2 only"),
        (transport_feedback(chunk("0|01|0000000000011"), b"", covered=3), "need 3 bytes"),
        (transport_feedback(chunk("0|10|0000000000010"), b"\x01", covered=2), "need 4 bytes"),
        (transport_feedback(chunk("0|11|0000000000001"), b"\0\0", covered=1), "reserved"),
        (transport_feedback(chunk("1|1|01 11 00 00 00 00 00"), b"\1", covered=2), "packet 1 is"),
    ],
)
def test_malformed_packets_are_refused(packet, message):
    with pytest.raises(FeedbackError, match=message):
        parse(packet)


@pytest.mark.parametrize("padding", [0, 21, 255])
def test_impossible_padding_is_refused(padding):
    packet = bytearray(GOOD)
    packet[0] |= 0x20
    packet[-1] = padding
    with pytest.raises(FeedbackError, match=f"^{padding} bytes of padding in a packet of 24"):
        parse(bytes(packet))


def test_padding_over_the_whole_payload_leaves_too_little():
    packet = bytearray(GOOD)
    packet[0] |= 0x20
    packet[-1] = 20
    with pytest.raises(FeedbackError, match="at least 20 bytes, this one has 4"):
        parse(bytes(packet))


@given(feedback=feedbacks)
def test_no_part_of_a_packet_is_a_packet(feedback):
    packet = feedback.build()
    for size in range(0, len(packet), 3):
        with pytest.raises(FeedbackError):
            parse(packet[:size])


def test_the_error_is_a_value_error():
    assert issubclass(FeedbackError, ValueError)


# --- building ----------------------------------------------------------------------------------


@given(feedback=feedbacks)
@example(feedback=covering([None]))
@example(feedback=covering([None] * 65535))
@example(feedback=covering([250 * n for n in range(65535)]))
@example(feedback=covering([-250 * (n % 2) for n in range(65535)]))
def test_what_is_built_is_read_as_it_was(feedback):
    packet = feedback.build()
    assert len(packet) % 4 == 0
    assert parse(packet) == feedback


def test_what_is_built_has_the_padding_bit_and_the_count_of_padding():
    assert covering([250, 500]).build() == transport_feedback(
        chunk("0|01|0000000000010"), b"\x01\x01", covered=2
    )
    assert covering([250]).build() == transport_feedback(
        chunk("0|01|0000000000001"), b"\x01", covered=1, padding=b"\x01"
    )
    assert covering([250, 500, 750]).build()[-4:] == b"\x01\x00\x00\x03"


@pytest.mark.parametrize(
    ("delta", "symbol", "expected"),
    [
        (0, "01", "00"),
        (255, "01", "ff"),
        (256, "10", "0100"),
        (-1, "10", "ffff"),
        (32767, "10", "7fff"),
        (-32768, "10", "8000"),
    ],
)
def test_a_delta_takes_one_byte_where_it_can(delta, symbol, expected):
    packet = covering([250 * delta]).build()
    assert packet[20:].hex().startswith(chunk(f"0|{symbol}|0000000000001").hex() + expected)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sender_ssrc": -1}, "sender_ssrc must be from 0 to 4294967295, got -1"),
        ({"media_ssrc": 2**32}, "media_ssrc must be"),
        ({"base_sequence": 65536}, "base_sequence must be from 0 to 65535, got 65536"),
        ({"reference_time": -1}, "reference_time must be from 0 to 16777215, got -1"),
        ({"feedback_count": 256}, "feedback_count must be from 0 to 255, got 256"),
        ({"arrivals": ()}, "number of arrivals must be from 1 to 65535, got 0"),
        ({"arrivals": (None,) * 65536}, "number of arrivals must be"),
        ({"arrivals": (0, 251)}, r"arrivals\[1\] must be a multiple of 250 µs, got 251"),
        ({"arrivals": (8_192_000,)}, r"arrivals\[0\] is 8192000 µs after"),
        ({"arrivals": (0, None, -8_192_250)}, r"arrivals\[2\] is -8192250 µs after"),
    ],
)
def test_what_the_wire_can_not_say_is_refused(fields, message):
    good = {
        "sender_ssrc": SENDER,
        "media_ssrc": MEDIA,
        "base_sequence": 65535,
        "reference_time": 2**24 - 1,
        "feedback_count": 255,
        "arrivals": (0, 8_191_750, -250),
    }
    assert parse(TransportFeedback(**good).build()) == TransportFeedback(**good)
    with pytest.raises(FeedbackError, match=message):
        TransportFeedback(**{**good, **fields}).build()
