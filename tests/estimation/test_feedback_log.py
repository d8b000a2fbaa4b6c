"""The log of packets and feedback, line by line (docs/link_test.md has the format)."""

from __future__ import annotations

import io
import json

from trio_allocator.estimation import FeedbackLog

THIRD = 1 / 3


def test_each_event_is_a_line_with_its_time_to_a_microsecond():
    file = io.StringIO()
    log = FeedbackLog(file, {"camera": {"low": 150_000}}, 300_000)
    log.packet_sent(THIRD, 17, 1_200, None)
    log.packet_sent(1 + THIRD, 18, 900, 4)
    log.probe_given(2 + THIRD, 2_500_000.0)
    log.received(3 + THIRD, b"\x8f\xcd\x00")
    log.estimated(4 + THIRD, 812_000)
    assert [json.loads(line) for line in file.getvalue().splitlines()] == [
        {
            "log": "trio-allocator feedback",
            "version": 1,
            "tracks": {"camera": {"low": 150_000}},
            "start_bitrate": 300_000,
        },
        {"t": 0.333333, "sent": [17, 1_200, None]},
        {"t": 1.333333, "sent": [18, 900, 4]},
        {"t": 2.333333, "probe": 2_500_000.0},
        {"t": 3.333333, "rtcp": "8fcd00"},
        {"t": 4.333333, "estimate": 812_000},
    ]
