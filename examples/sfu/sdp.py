"""Session descriptions: offers read, answers made (RFC 8866, RFC 9429, RFC 8853)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from attrs import frozen

from .codecs import OPUS, VIDEO, Codec
from .ice import Address, IceLite

LARGEST = 100_000
"""Characters of an offer; a browser's has about 200 lines for each track."""

MOST_LAYERS = 8
"""Of one video: each is a step on the ladder of everybody who watches it. Browsers send three."""

MOST_SECTIONS = 64

_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,16}")
_FINGERPRINT = re.compile(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}")


class SdpError(ValueError):
    """An offer that can not be answered. The message is for the person who made it."""


@frozen
class Format:
    """A codec that a section offers.

    Attributes:
        codec: Which.
        payload_type: 0 to 127.
        parameters: As it offers them; empty for none.
        repeated: Payload type of its retransmissions (RFC 4588); None if there are none.
        feedback: What feedback it wants, such as ``transport-cc``.
    """

    codec: Codec
    payload_type: int
    parameters: str
    repeated: int | None
    feedback: frozenset[str]


@frozen
class MediaSection:
    """One ``m=`` section of an offer.

    Attributes:
        kind: ``audio``, ``video`` or something else.
        protocol: As it says.
        payload_types: All that it offers, as it says them.
        mid: Its name.
        direction: What its owner wants to do.
        formats: The codecs that the server knows, the one to prefer first.
        extensions: Name of each header extension to its number.
        rids: The layers of a simulcast, in its order; empty for none.
    """

    kind: str
    protocol: str
    payload_types: tuple[str, ...]
    mid: str
    direction: str
    formats: tuple[Format, ...]
    extensions: dict[str, int]
    rids: tuple[str, ...]

    def format_of(self, codec: Codec) -> Format | None:
        """How it offers a codec; None if it does not."""
        return next((each for each in self.formats if each.codec is codec), None)


@frozen
class Offer:
    """What a peer offers.

    Attributes:
        fingerprint: SHA-256 of its certificate.
        sections: In their order.
        allows_mixed: It takes header extensions of one and of two bytes in one stream.
    """

    fingerprint: str
    sections: tuple[MediaSection, ...]
    allows_mixed: bool


@frozen
class Answer:
    """What is answered to one section.

    Attributes:
        section: The offer's.
        direction: What the server does; ``inactive`` if it has nothing to send, or wants nothing.
        format: The codec; None for the first one that is offered, which is not used.
        lines: What else is to be said, without ``a=``.
        uses_repeated: Retransmissions are used.
    """

    section: MediaSection
    direction: str
    format: Format | None
    lines: tuple[str, ...] = ()
    uses_repeated: bool = False


def parse_offer(text: object) -> Offer:
    """Read an offer.

    Raises:
        SdpError: It is none, or nothing that the server can work with.
    """
    if not isinstance(text, str) or not text.startswith("v=0"):
        raise SdpError("this is no SDP: an offer is a text that begins with v=0")
    if len(text) > LARGEST:
        raise SdpError(f"an offer may have {LARGEST} characters, this one has {len(text)}")
    head, *parts = re.split(r"(?m)^(?=m=)", text.replace("\r\n", "\n"))
    if not 0 < len(parts) <= MOST_SECTIONS:
        raise SdpError(f"an offer has 1 to {MOST_SECTIONS} media sections, this one {len(parts)}")
    prints = {
        value.split(" ", 1)[-1].upper()
        for value in _values(text.replace("\r\n", "\n").split("\n"), "fingerprint")
        if value.lower().startswith("sha-256 ")
    }
    if len(prints) != 1 or not _FINGERPRINT.fullmatch(found := prints.pop()):
        raise SdpError("an offer has one SHA-256 fingerprint, the same for all of it")
    sections = tuple(_section(part.strip().split("\n")) for part in parts)
    if len({section.mid for section in sections}) < len(sections):
        raise SdpError("every media section has an a=mid of its own")
    bundles = _values(head.split("\n"), "group")
    bundled = {mid for value in bundles if value.startswith("BUNDLE") for mid in value.split()[1:]}
    if not {section.mid for section in sections} <= bundled and len(sections) > 1:
        raise SdpError("all media share one transport: put them into one a=group:BUNDLE")
    return Offer(found, sections, allows_mixed="a=extmap-allow-mixed" in text)


def _section(lines: list[str]) -> MediaSection:
    head = lines[0][2:].split()
    if len(head) < 4:
        raise SdpError(f"a media section begins with m=<kind> <port> <protocol> <formats>: {head}")
    mids = _values(lines, "mid")
    if len(mids) != 1 or not _TOKEN.fullmatch(mids[0]):
        raise SdpError("every media section has an a=mid of 1 to 16 letters or digits")
    return MediaSection(
        kind=head[0],
        protocol=head[2],
        payload_types=tuple(head[3:]),
        mid=mids[0],
        direction=next((name for name in _DIRECTIONS if f"a={name}" in lines), _DIRECTIONS[0]),
        formats=tuple(_formats(head[0], lines)),
        extensions=dict(_extensions(lines)),
        rids=_rids(lines),
    )


def _values(lines: Iterable[str], name: str) -> list[str]:
    start = f"a={name}:"
    return [line[len(start) :].strip() for line in lines if line.startswith(start)]


def _numbered(lines: Iterable[str], name: str) -> dict[int, str]:
    """Attributes that begin with a payload type."""
    found: dict[int, str] = {}
    for value in _values(lines, name):
        number, _, rest = value.partition(" ")
        if number.isdecimal() and len(number) <= 3 and int(number) < 128:
            found.setdefault(int(number), rest)
    return found


def _formats(kind: str, lines: list[str]) -> Iterator[Format]:
    """The codecs of ours that are offered."""
    maps = _numbered(lines, "rtpmap")
    parameters = _numbered(lines, "fmtp")
    feedback = _values(lines, "rtcp-fb")
    for codec in {"audio": (OPUS,), "video": VIDEO}.get(kind, ()):
        for number, name in maps.items():
            said = parameters.get(number, "")
            if name.lower() != codec.rtpmap.lower():
                continue
            if codec.name == "h264" and "packetization-mode=1" not in said:
                continue
            repeated = next(
                (
                    other
                    for other, what in maps.items()
                    if what.lower().startswith("rtx/") and parameters.get(other) == f"apt={number}"
                ),
                None,
            )
            wants = frozenset(
                value.split(" ", 1)[1]
                for value in feedback
                if " " in value and value.split(" ", 1)[0] in (str(number), "*")
            )
            yield Format(codec, number, said, repeated, wants)
            break


def _extensions(lines: list[str]) -> Iterator[tuple[str, int]]:
    for value in _values(lines, "extmap"):
        words = value.split()
        number = words[0].partition("/")[0] if words else ""
        if len(words) >= 2 and number.isdecimal() and len(number) <= 2 and 1 <= int(number) <= 14:
            yield words[1], int(number)


def _rids(lines: list[str]) -> tuple[str, ...]:
    """The layers of a simulcast that is sent, in its order."""
    known = [value.split()[0] for value in _values(lines, "rid") if value.endswith(" send")]
    for value in _values(lines, "simulcast"):
        words = value.split()
        if "send" in words[:-1]:
            listed = words[words.index("send") + 1].replace("~", "").split(";")
            known = [rid for rid in (each.split(",")[0] for each in listed) if rid in known]
    if len(known) > MOST_LAYERS:
        raise SdpError(f"a video has at most {MOST_LAYERS} layers, this one {len(known)}")
    for rid in known:
        if not _TOKEN.fullmatch(rid):
            raise SdpError(f"a rid has 1 to 16 letters or digits: {rid!r}")
    return tuple(known)


def build_answer(
    offer: Offer,
    answers: Iterable[Answer],
    *,
    ice: IceLite,
    fingerprint: str,
    address: Address,
    version: int = 1,
) -> str:
    """Make the answer to an offer.

    Args:
        offer: What is answered.
        answers: One for each section, in their order.
        ice: The server's side.
        fingerprint: Of the server's certificate.
        address: The only candidate.
        version: Grows with each answer in a session.
    """
    host, port = address
    lines = ["v=0", f"o=- 1 {version} IN IP4 {host}", "s=-", "t=0 0"]
    mids = " ".join(section.mid for section in offer.sections)
    lines += [f"a=group:BUNDLE {mids}", "a=ice-lite", "a=msid-semantic: WMS *"]
    if offer.allows_mixed:
        lines.append("a=extmap-allow-mixed")
    for answer in answers:
        lines += _answered(answer)
        lines += [
            f"a=ice-ufrag:{ice.ufrag}",
            f"a=ice-pwd:{ice.password}",
            "a=ice-options:ice2",
            f"a=fingerprint:sha-256 {fingerprint}",
            "a=setup:passive",
            f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
            "a=end-of-candidates",
        ]
    return "\r\n".join(lines) + "\r\n"


def _answered(answer: Answer) -> list[str]:
    section, chosen = answer.section, answer.format
    if chosen is None:
        types = section.payload_types
        details: list[str] = []
    else:
        number = chosen.payload_type
        types = (str(number),)
        details = [f"rtpmap:{number} {chosen.codec.rtpmap}"]
        if chosen.codec.name == "h264":
            details.append(f"fmtp:{number} {chosen.parameters}")
        if answer.uses_repeated and chosen.repeated is not None:
            types = (*types, str(chosen.repeated))
            details += [
                f"rtpmap:{chosen.repeated} rtx/{chosen.codec.clock_rate}",
                f"fmtp:{chosen.repeated} apt={number}",
            ]
    return [
        f"m={section.kind} 9 {section.protocol} {' '.join(types)}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{section.mid}",
        f"a={answer.direction}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        *(f"a={line}" for line in (*details, *answer.lines)),
    ]


def feedback_lines(chosen: Format, names: Iterable[str]) -> list[str]:
    """``rtcp-fb`` of what both want."""
    return [f"rtcp-fb:{chosen.payload_type} {name}" for name in names if name in chosen.feedback]


def extension_lines(section: MediaSection, names: Iterable[str]) -> list[str]:
    """``extmap`` of the header extensions that both know."""
    known = section.extensions
    return [f"extmap:{known[name]} {name}" for name in names if name in known]
