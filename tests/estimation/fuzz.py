"""``python -m tests.estimation.fuzz``: mutated and random packets against everything that parses.

Whatever comes, a parser returns or raises `FeedbackError`, what it returns can be built and read
again as it was, and a reader tells of no more packets than were sent. A bounded number of packets
is part of the tests; a million takes about a minute. With atheris installed, ``--atheris`` lets
coverage guide the mutations instead (what follows it goes to libFuzzer: ``--atheris -runs=100000``).
"""

from __future__ import annotations

import argparse
import importlib
import random
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

from tests.estimation import recordings
from trio_allocator.estimation import (
    FeedbackError,
    FeedbackReader,
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverReport,
    Remb,
    ReportBlock,
    SenderReport,
    TransportFeedback,
    parse_compound,
    parse_requests,
)
from trio_allocator.quantities import MAX_BITRATE

PARSERS: tuple[Callable[[bytes], object], ...] = (
    TransportFeedback.parse,
    Remb.parse,
    ReceiverReport.parse,
    parse_compound,
    Nack.parse,
    PictureLoss.parse,
    FullIntraRequest.parse,
    SenderReport.parse,
    parse_requests,
)
LONGEST = 1500
_TELLING = (0x00, 0x01, 0x02, 0x7F, 0x80, 0xFF)


class Target:
    """What is fuzzed: the parsers, and a reader that goes on from one packet to the next.

    Attributes:
        outcomes: How often each parser returned and refused.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self._reader = FeedbackReader()
        self._now = 0.0
        self._last_sent = 0
        self._told = 0

    def __call__(self, data: bytes) -> None:
        """Feed it one packet.

        Raises:
            AssertionError: It broke a promise.
            Exception: Whatever a parser raised that it must not.
        """
        for parse in PARSERS:
            name = parse.__qualname__
            try:
                found = parse(data)
            except FeedbackError:
                self.outcomes[f"{name}: refused"] += 1
                continue
            self.outcomes[f"{name}: read"] += 1
            for message in found if isinstance(found, list) else [found]:
                if not (isinstance(message, Remb) and message.bitrate == MAX_BITRATE):
                    assert type(message).parse(message.build()) == message
                if isinstance(message, TransportFeedback):
                    self._read(message)

    def _read(self, feedback: TransportFeedback) -> None:
        self._now += 0.05
        self._last_sent += 20
        results = self._reader.read(feedback, now=self._now, last_sent=self._last_sent)
        self._told += len(results)
        # Twice, for what was lost may come; and the window when it began.
        assert self._told <= 2 * (self._last_sent + 2**15)
        for sequence, arrival in results:
            assert self._last_sent - 2**15 < sequence <= self._last_sent
            assert arrival is None or -70.1 <= arrival - self._now <= 10.1


def seeds() -> list[list[bytes]]:
    """Good packets to begin with: all that was recorded, and each other kind that there is."""
    recorded = [packet for path in recordings.files() for packet in recordings.read(path).packets]
    block = ReportBlock(5, 64, -10, 70_000, 33, 0x10002000, 0x8000)
    remb = Remb(1, 1_234_567, (5, 6, 7)).build()
    report = ReceiverReport(1, (block, block)).build()
    sender_report = struct.pack("!BBHI", 0x81, 200, 12, 1) + bytes(20) + report[8:32]
    odd = [
        TransportFeedback(1, 2, 65_530, 2**24 - 1, 255, tuple(arrivals)).build()
        for arrivals in (
            [250 * n if n % 3 else None for n in range(100)],
            [None] * 9000 + [0],
            [(-1) ** n * 250_000 * n for n in range(16)],
        )
    ]
    asked = [
        Nack(1, 2, (65_534, 3, 4, 20, 21)).build(),
        PictureLoss(1, 2).build(),
        FullIntraRequest(1, ((2, 3), (4, 5))).build(),
    ]
    mixed = report + remb + recorded[0] + asked[0]
    return [recorded, recorded, odd, [remb], [report, sender_report], asked, [mixed]]


def packets(source: random.Random, count: int) -> Iterator[bytes]:
    """So many packets: most of them mutated good ones, some without any sense."""
    good = seeds()
    for _ in range(count):
        kind = source.random()
        if kind < 0.1:
            yield source.randbytes(source.randrange(80))
        elif kind < 0.25:
            yield _with_header(source, source.randbytes(4 * source.randrange(40)))
        else:
            yield _mutated(source, good)


def _with_header(source: random.Random, payload: bytes) -> bytes:
    first = source.choice([0x8F, 0x8F, 0xAF, 0x80 | source.randrange(64)])
    kind = source.choice([205, 205, 206, 200, 201, source.randrange(256)])
    return struct.pack("!BBH", first, kind, len(payload) // 4) + payload


def _mutated(source: random.Random, good: list[list[bytes]]) -> bytes:
    packet = bytearray(source.choice(source.choice(good)))
    for _ in range(source.choice([1, 1, 2, 4, 8])):
        at = source.randrange(len(packet)) if packet else 0
        match source.randrange(8):
            case 0 | 1 if packet:
                packet[at] ^= 1 << source.randrange(8)
            case 2 if packet:
                packet[at] = source.choice(_TELLING)
            case 3:
                del packet[at : at + source.randrange(1, 9)]
            case 4:
                packet[at:at] = source.randbytes(source.randrange(1, 9))
            case 5:
                other = source.choice(source.choice(good))
                packet[at:] = other[source.randrange(len(other)) :]
            case 6:
                packet += source.choice(source.choice(good))
            case _:
                packet[at : at + 2] = source.randbytes(2)
    del packet[LONGEST:]
    if len(packet) >= 4 and source.random() < 0.7:  # else nothing behind the header is ever reached
        packet += bytes(-len(packet) % 4)
        packet[2:4] = (len(packet) // 4 - 1).to_bytes(2, "big")
    return bytes(packet)


def run(count: int, seed: int) -> tuple[Target, float, bytes]:
    """Feed so many packets.

    Returns:
        The target; the longest time that a packet took the processor, s; and that packet.
    """
    target = Target()
    slowest = (0.0, b"")
    for packet in packets(random.Random(seed), count):
        start = time.thread_time()
        try:
            target(packet)
        except Exception as error:
            error.add_note(f"the packet was {packet.hex()}")
            raise
        slowest = max(slowest, (time.thread_time() - start, packet))
    return target, *slowest


def main() -> None:
    """Run, and say what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.estimation.fuzz", description=__doc__)
    parser.add_argument("--packets", type=int, default=100_000, help="how many; 100000")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers; 1")
    parser.add_argument(
        "--atheris", nargs=argparse.REMAINDER, help="guided by coverage; to libFuzzer"
    )
    arguments = parser.parse_args()
    if arguments.atheris is not None:
        guided(arguments.atheris)
        return
    start = time.perf_counter()
    target, slowest, packet = run(arguments.packets, arguments.seed)
    elapsed = time.perf_counter() - start
    print(
        f"{arguments.packets} packets (seed {arguments.seed}) in {elapsed:.1f} s, no other exception"
    )
    for outcome, times in sorted(target.outcomes.items()):
        print(f"{times:>9} {outcome}")
    print(f"the slowest took {slowest * 1e3:.1f} ms, all parsers and a reader: {packet.hex()}")


def guided(options: list[str]) -> None:
    """Hand the target to atheris."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris, or leave --atheris out")
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *options], Target())
    atheris.Fuzz()


if __name__ == "__main__":
    main()
