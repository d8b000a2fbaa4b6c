"""A bounded run of `tests.estimation.fuzz`, and whether it would find anything."""

from __future__ import annotations

import struct

import pytest

from tests.estimation import fuzz
from trio_allocator.estimation import FeedbackError, TransportFeedback, rtcp

COUNT = 5_000


def test_no_packet_breaks_a_parser_or_a_reader():
    target, _, _ = fuzz.run(COUNT, seed=1)
    for parser in fuzz.PARSERS:
        name = parser.__qualname__
        assert target.outcomes[f"{name}: read"] > COUNT / 200
        assert target.outcomes[f"{name}: refused"] > COUNT / 200


def test_a_parser_that_reads_beyond_the_end_is_found(monkeypatch):
    monkeypatch.setattr(rtcp, "payload_end", lambda packet, _: len(packet) + 8)
    with pytest.raises((IndexError, struct.error)) as caught:
        fuzz.run(COUNT, seed=1)
    assert caught.value.__notes__[0].startswith("the packet was ")


def test_a_parser_that_does_not_read_what_was_built_is_found(monkeypatch):
    build = TransportFeedback.build

    def forgetful(self):
        return build(self)[:-1] + b"\x01"

    monkeypatch.setattr(TransportFeedback, "build", forgetful)
    with pytest.raises((AssertionError, FeedbackError)):
        fuzz.run(COUNT, seed=1)
