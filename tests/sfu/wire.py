"""A transport without a socket, for tests and measurements in virtual time."""

from __future__ import annotations

from collections import Counter

import trio

from trio_allocator.estimation import parse_requests


class Wire:
    """Stands for a transport: notes what is sent."""

    tag_size = 16

    def __init__(self):
        self.sent = []
        self.counts = Counter()
        self.on_rtp = None

    def send_rtcp(self, data):
        self.sent.append((trio.current_time(), data))
        return True

    def requests(self):
        return [
            (at, {request.media_ssrc for request in parse_requests(data)})
            for at, data in self.sent
            if parse_requests(data)
        ]
