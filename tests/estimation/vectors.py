"""Other stacks' test vectors, tried on this package: what went in, and what came out of it.

`data/vectors` has them as facts, with their source. A vector has a kind, and for each kind there is
a function here that returns what differs from the expectation, or None.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from trio_allocator.estimation import (
    FeedbackError,
    FeedbackReader,
    FeedbackRecorder,
    ReceiverReport,
    Remb,
    ReportBlock,
    TransportFeedback,
    chunks,
    parse_compound,
)

from . import vector_scenarios as scenarios

FOLDER = Path(__file__).with_name("data") / "vectors"
UNIT = 64_000
WRAP = 2**24 * UNIT


def load():
    """(peer, vector) of all, but for those that are about something that this package lacks."""
    for path in sorted(FOLDER.glob("*.json")):
        names = set()
        for vector in json.loads(path.read_text())["vectors"]:
            if vector["name"] in names:
                vector["name"] += " again"
            names.add(vector["name"])
            if vector["kind"] != "na":
                yield path.stem, vector


def difference(vector):
    """What differs from the expectation; None for nothing."""
    kind = vector["kind"]
    check = globals().get(f"check_{kind}") or getattr(scenarios, f"check_{kind}")
    return check(vector)


def unless(agrees, found):
    return None if agrees else found


def attempt(call, *arguments):
    """What it returns, or "error"."""
    try:
        return call(*arguments)
    except FeedbackError:
        return "error"


def packet_with(fci):
    """A feedback with these bytes behind its SSRCs."""
    body = bytes(8) + bytes.fromhex(fci)
    body += bytes(-len(body) % 4)
    return b"\x8f\xcd" + (len(body) // 4).to_bytes(2, "big") + body


def told_by(feedback):
    """[(sequence number, µs or None)]."""
    begin = feedback.reference_time * UNIT
    return [
        ((feedback.base_sequence + index) % 2**16, None if arrival is None else begin + arrival)
        for index, arrival in enumerate(feedback.arrivals)
    ]


# --- feedback: parsed and built ----------------------------------------------------------------


def steps(feedback):
    """From one arrival to the next, µs."""
    arrivals = [0, *(arrival for arrival in feedback.arrivals if arrival is not None)]
    return [later - sooner for sooner, later in itertools.pairwise(arrivals)]


FIELDS = {
    "sender": lambda feedback: feedback.sender_ssrc,
    "media": lambda feedback: feedback.media_ssrc,
    "base": lambda feedback: feedback.base_sequence,
    "count": lambda feedback: len(feedback.arrivals),
    "ref": lambda feedback: feedback.reference_time,
    "fb": lambda feedback: feedback.feedback_count,
    "arrivals": lambda feedback: list(feedback.arrivals),
    "received": lambda feedback: [
        number for number, arrival in told_by(feedback) if arrival is not None
    ],
    "deltas_us": steps,
    "deltas_ms": lambda feedback: [int(step / 1000) for step in steps(feedback)],
}


def compare(feedback, expected):
    if "error" in (feedback, expected):
        return unless(feedback == expected, f"{feedback} instead of {expected}")
    found = {name: FIELDS[name](feedback) for name in expected if name in FIELDS}
    return unless(all(found[name] == expected[name] for name in found), found)


def check_parse(vector):
    return compare(
        attempt(TransportFeedback.parse, bytes.fromhex(vector["input"])), vector["expect"]
    )


def check_parse_fci(vector):
    return compare(attempt(TransportFeedback.parse, packet_with(vector["input"])), vector["expect"])


def check_chunk(vector):
    data, expected = bytes.fromhex(vector["input"]), vector["expect"]
    found = attempt(chunks.decode, data, 0, 2, 7 if expected == "reserved" else len(expected))
    return unless(found != "error" and list(found[0]) == expected, found)


def check_chunk_build(vector):
    found = chunks.encode(bytes(vector["input"]))
    return unless(found.hex() == vector["expect"], found.hex())


def check_delta(vector):
    data = vector["input"]
    one = "4001" if len(data) == 4 else "2001"
    feedback = TransportFeedback.parse(packet_with("0000000100000000" + one + data))
    built = TransportFeedback(0, 0, 0, 0, 0, (vector["expect"],)).build()
    agrees = feedback.arrivals == (vector["expect"],) and built[20:].hex().startswith(one + data)
    return unless(agrees, feedback.arrivals)


def check_build(vector):
    data = vector["input"]
    names = ("sender", "media", "base", "ref", "fb")
    sender, media, base, reference, count = (data[name] for name in names)
    arrivals = tuple(data["arrivals"])
    feedback = TransportFeedback(sender, media, base, reference, count, arrivals)
    built = feedback.build()
    assert TransportFeedback.parse(built) == feedback
    return unless(built.hex() == vector["expect"], built.hex())


def check_rebuild(vector):
    feedback = attempt(TransportFeedback.parse, bytes.fromhex(vector["input"]))
    if feedback == "error":
        return feedback
    return unless(feedback.build().hex() == vector["expect"], feedback.build().hex())


def check_roundtrip(vector):
    data, expected = vector["input"], vector["expect"]
    reference = data["packets"][0][1] // UNIT
    arrivals = [None] * expected["count"]
    for number, time in data["packets"]:
        arrivals[(number - data["base"]) % 2**16] = time - reference * UNIT
    feedback = TransportFeedback(1, 2, data["base"], reference % 2**24, data["fb"], tuple(arrivals))
    built = feedback.build()
    size = expected.get("size") or len(built)
    return unless(TransportFeedback.parse(built) == feedback and len(built) == size, len(built))


def check_build_ok(vector):
    data = vector["input"]
    arrivals = (0, *[None] * (data["n"] - 2), data["last"])
    built = attempt(TransportFeedback(1, 2, 0, 0, 0, arrivals).build)
    return unless((built != "error") == (vector["expect"] == "ok"), built)


def check_neg(vector):
    arrivals = tuple(-8_192_000 * (index + 1) for index in range(vector["input"]))
    feedback = TransportFeedback(1, 2, 0, 0, 0, arrivals)
    return unless(TransportFeedback.parse(feedback.build()) == feedback, "another one")


def check_pad(vector):
    data = bytearray(TransportFeedback(1, 2, 0, 0, 0, (0,)).build())
    if vector["input"]:  # four bytes more
        data += bytes([0, 0, 0, 4 + data[-1]])
        data[3] += 1
        data[0] |= 0x20
    else:  # zeros, and no word of them
        data[-1] = 0
        data[0] &= 0xDF
    return unless(attempt(TransportFeedback.parse, bytes(data)) != "error", "error")


# --- feedback: recorded and read ---------------------------------------------------------------


def recorded(events, **options):
    """What a recorder reports, when it is asked."""
    recorder = FeedbackRecorder(1, 2, **options)
    reports = []
    for event in events:
        if event == "report":
            reports += [
                TransportFeedback.parse(feedback.build()) for feedback in recorder.build_feedback()
            ]
        else:
            recorder.received(event[0], event[1] / 1e6)
    return reports


def check_record(vector):
    reports = recorded(vector["input"], max_size=65_535)
    told = [told_by(report) for report in reports]
    expected = vector["expect"]
    match expected:
        case "near125":
            return unless(
                all(
                    abs(time - index * 250 / 3) <= 125.1 for index, (_, time) in enumerate(told[0])
                ),
                told,
            )
        case "no exception, parses back":
            return None
        case "0 first, alone":
            return unless([number for number, _ in told[0]] == [0], told)
        case "nothing or 9 alone, no exception":
            return unless(len(told) == 1 or told[1][0][0] == 9, told)
        case str():  # which numbers of several the peer believes
            return unless({number for report in told for number, _ in report} == set(), told)
    if reports and vector.get("ref", reports[0].reference_time) != reports[0].reference_time:
        return reports[0].reference_time
    if reports and vector.get("ref_last", reports[-1].reference_time) != reports[-1].reference_time:
        return reports[-1].reference_time
    wrapped = [
        [(number, None if time is None else time % WRAP) for number, time in report]
        for report in expected
    ]
    return unless(told == wrapped, told)


def check_acks(vector):
    recorder, reader, told = FeedbackRecorder(1, 2), FeedbackReader(), []
    for group in vector["input"]:
        for number, milliseconds in group:
            recorder.received(number, milliseconds / 1000)
        (feedback,) = recorder.build_feedback()
        results = reader.read(feedback, now=group[-1][1] / 1000, last_sent=7)
        told.append([number for number, arrival in results if arrival is not None])
    return unless(told == vector["expect"], told)


def feedback_at(base, times, count=0):
    """A feedback on arrivals at these times, µs or None."""
    reference = int(min(time for time in times if time is not None) // UNIT)
    arrivals = (
        None if time is None else int(time - reference * UNIT) // 250 * 250 for time in times
    )
    return TransportFeedback(1, 2, base, reference % 2**24, count, tuple(arrivals))


def check_engine(vector):
    sent, reader, state = set(vector["input"]["sent"]), FeedbackReader(), {}
    for base, times, count in vector["input"]["feedback"]:
        results = reader.read(feedback_at(base, times, count), now=5.0, last_sent=max(sent))
        state |= {number: arrival is not None for number, arrival in results if number in sent}
    received = sum(state.values())
    found = {"received": received, "lost": len(state) - received}
    return unless(found == vector["expect"], found)


def check_reorder(vector):
    feedbacks, reader, told = vector["input"]["feedbacks"], FeedbackReader(), []
    for count in vector["input"]["order"]:
        base, times = feedbacks[count]
        now = max(times) / 1e6 + 1
        results = reader.read(feedback_at(base, times, count), now=now, last_sent=20)
        told.append([number for number, _ in results])
    return unless(told == vector["expect"], told)


def check_wrapboth(vector):
    reader, offsets, times = FeedbackReader(), set(), vector["input"]
    for count, time in enumerate(times):
        now = 10 + (time - times[0]) / 1e6
        (result,) = reader.read(feedback_at(count, [time], count), now=now, last_sent=2)
        offsets.add(round(result.arrival - time / 1e6, 6))
    return unless(len(offsets) == 1, offsets)


def check_wrapdelta(vector):
    reader, arrivals = FeedbackReader(), []
    for count, reference in enumerate(vector["input"]):
        feedback = TransportFeedback(1, 2, count, reference, count, (0,))
        (result,) = reader.read(feedback, now=5 + 0.064 * count, last_sent=1)
        arrivals.append(result.arrival)
    found = round((arrivals[1] - arrivals[0]) * 1e6)
    return unless(found == vector["expect"], found)


# --- other reports -----------------------------------------------------------------------------


def check_remb(vector):
    found, expected = attempt(Remb.parse, bytes.fromhex(vector["input"])), vector["expect"]
    if "error" in (found, expected):
        return unless(found == expected, found)
    bitrate = 10**15 if expected["bitrate"] == "unlimited" else expected["bitrate"]
    agrees = (found.sender_ssrc, found.bitrate, list(found.ssrcs)) == (
        expected["sender"],
        bitrate,
        expected["ssrcs"],
    )
    rebuilds = not expected.get("rebuild") or found.build().hex() == vector["input"]
    return unless(agrees and rebuilds, found)


def check_remb_build(vector):
    data = vector["input"]
    built = attempt(Remb(data["sender"], data["bitrate"], tuple(data["ssrcs"])).build)
    found = built if built == "error" else Remb.parse(built).bitrate
    return unless(found == vector["expect"], found)


def check_rr(vector):
    found, expected = (
        attempt(ReceiverReport.parse, bytes.fromhex(vector["input"])),
        vector["expect"],
    )
    if "error" in (found, expected):
        return unless(found == expected, found)
    blocks = [
        {
            "ssrc": block.ssrc,
            "fraction": block.fraction_lost,
            "lost": block.cumulative_lost,
            "highest": block.highest_sequence,
            "jitter": block.jitter,
            "lsr": block.last_sender_report,
            "dlsr": block.delay,
        }
        for block in found.blocks
    ]
    agrees = (found.sender_ssrc, blocks) == (expected["sender"], expected["blocks"])
    rebuilds = not expected.get("rebuild") or found.build().hex() == vector["input"]
    return unless(agrees and rebuilds, found)


def check_rr_build(vector):
    blocks = tuple(ReportBlock(number, 0, 0, 0) for number in range(vector["input"]))
    built = attempt(ReceiverReport(1, blocks).build)
    return unless((built != "error") == (vector["expect"] == "ok"), built)


def check_rr_lost(vector):
    report = ReceiverReport(1, (ReportBlock(1, 0, vector["input"], 0),))
    built = attempt(report.build)
    if built != "error":
        assert ReceiverReport.parse(built) == report
    return unless((built != "error") == (vector["expect"] == "ok"), built)


def check_header(vector):
    found = attempt(parse_compound, bytes.fromhex(vector["input"]))
    return unless((found != "error") == (vector["expect"] == "ok"), found)
