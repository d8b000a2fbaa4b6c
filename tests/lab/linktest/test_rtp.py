"""Packets as the link test writes and reads them."""

from hypothesis import given, strategies as st

from trio_allocator.lab.linktest import rtp

words = st.integers(0, 0xFFFF)
headers = st.builds(
    rtp.RtpHeader,
    payload_type=st.integers(0, 127),
    sequence=words,
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    transport_sequence=words,
    is_marked=st.booleans(),
    is_padding=st.booleans(),
)


@given(headers, st.binary(max_size=50))
def test_what_was_built_is_read(header, payload):
    packet = rtp.build_rtp(header, payload)
    assert len(packet) == rtp.HEADER_SIZE + len(payload)
    assert rtp.parse_rtp(packet) == header


@given(st.binary(max_size=60))
def test_anything_else_is_no_packet_or_one_by_chance(data):
    header = rtp.parse_rtp(data)
    assert header is None or rtp.build_rtp(header, data[rtp.HEADER_SIZE :])[4:12] == data[4:12]


def test_numbers_of_more_than_16_bits_wrap():
    packet = rtp.build_rtp(rtp.RtpHeader(96, 65_537, 0, 1, 131_070), b"")
    header = rtp.parse_rtp(packet)
    assert (header.sequence, header.transport_sequence) == (1, 65_534)


def test_padding_says_how_long_it_is():
    assert rtp.padding(1) == b"\x01"
    assert rtp.padding(255) == bytes(254) + b"\xff"


def test_a_retransmission_tells_what_it_repeats():
    original = rtp.RtpHeader(rtp.MEDIA, 513, 0, 1, 0)
    again = rtp.RtpHeader(rtp.REPEATED, 1, 0, 2, 0)
    assert rtp.repeated_sequence(rtp.build_rtp(again, rtp.repetition(original, b"x"))) == 513


@given(st.integers(0, 0xFFFFFFFF), words, st.sets(st.integers(0, 200), min_size=1))
def test_a_nack_names_packets_across_a_wrap(ssrc, first, offsets):
    sequences = [(first + offset) & 0xFFFF for offset in sorted(offsets)]
    packet = rtp.build_nack(ssrc, sequences)
    assert len(packet) == 4 * (int.from_bytes(packet[2:4], "big") + 1)
    assert rtp.parse_nack(packet) == (ssrc, sequences)


def test_seventeen_packets_in_a_row_take_one_entry():
    assert len(rtp.build_nack(1, range(17))) == 16
    assert len(rtp.build_nack(1, range(18))) == 20


@given(st.binary(max_size=40))
def test_garbage_is_no_nack_or_is_read_to_its_end(data):
    rtp.parse_nack(data)


def test_a_compound_packet_falls_apart():
    nack = rtp.build_nack(1, [2])
    feedback = bytes([0x8F, 205, 0, 1]) + bytes(4)
    assert list(rtp.rtcp_packets(nack + feedback)) == [nack, feedback]
    assert list(rtp.rtcp_packets(nack + feedback[:-1])) == [nack]
    assert not rtp.is_transport_feedback(nack)
    assert rtp.is_transport_feedback(feedback)
