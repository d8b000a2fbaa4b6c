"""What a watching page is told: numbers for its chart, and words for why a video is as it is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import trio

from trio_allocator import Blocker, Decision, ReceiverExplanation

from .adaptive import AdaptiveConnection, AdaptiveTrack
from .subscriber import Subscriber

_WHY = {
    Blocker.UNKNOWN_ESTIMATE: "nothing is known of the network yet",
    Blocker.SENDER: "nothing better is sent, or wanted",
    Blocker.STALLED: "no key frame of the next layer comes",
    Blocker.DEAR: "the next layer costs more than declared",
    Blocker.CAP: "it is capped",
    Blocker.NEGOTIATION: "another track is asked to make room",
    Blocker.HOLD: "the network is not trusted again yet",
    Blocker.PRIORITY: "tracks of a higher priority come first",
    Blocker.CONNECTION_CAP: "the connection is capped",
    Blocker.RESERVE: "a part of the connection is reserved",
    Blocker.NETWORK: "the network is too narrow",
}


def why(explanation: ReceiverExplanation) -> str:
    """Why a track has no more than it has, in a sentence."""
    if explanation.next_step is None:
        return "it has all that it can use"
    return " and ".join(_WHY[blocker] for blocker in explanation.blockers)


def decided(decision: Decision, tracks: dict[int, str]) -> str:
    """A decision in a sentence.

    Args:
        decision: Of the allocator.
        tracks: What people call each receiver's track.
    """
    name = tracks.get(decision.receiver_id, "a track")
    before, after = (f"{rate / 1000:.0f} kbit/s" for rate in (decision.before, decision.after))
    return f"{name}: {decision.act}, {before} to {after}, on {decision.cause}; {decision.reason}"


class Rates:
    """What was sent lately, by kind.

    Args:
        connection: Whose.
    """

    def __init__(self, connection: AdaptiveConnection) -> None:
        self._connection = connection
        self._before: Counter[str] = Counter()
        self._at = trio.current_time()

    def take(self) -> dict[str, int]:
        """bit/s since this was last asked."""
        now = trio.current_time()
        passed = max(now - self._at, 0.001)
        sent = Counter(self._connection.bytes)
        rates = {
            kind: round(8 * (sent[kind] - self._before[kind]) / passed)
            for kind in ("media", "audio", "repeated", "padding")
        }
        self._before, self._at = sent, now
        return rates


def state(subscriber: Subscriber, rates: Rates) -> dict[str, Any]:
    """How a subscriber's connection and tracks are, ready for JSON. Rates are bit/s."""
    connection = subscriber.connection
    explanation = connection.allocator.explain()
    estimated = connection.sender.estimator.explain()
    by_id = {receiver.receiver_id: receiver for receiver in explanation.receivers}
    return {
        "time": trio.current_time(),
        "estimate": estimated.estimate,
        "limit": estimated.limit.value,
        "rtt": estimated.rtt,
        "loss": estimated.loss,
        "queue_delay": estimated.queue_delay,
        "committed": explanation.committed,
        "usable": explanation.usable,
        "allowances": {a.name: a.bitrate for a in explanation.status.allowances},
        "probe": explanation.status.probe.value,
        "sent": rates.take(),
        "bytes": dict(connection.bytes),
        "statistics": connection.sender.estimator.statistics().as_dict(),
        "tracks": [_track(track, by_id) for track in connection.tracks.values()],
    }


def _track(track: AdaptiveTrack, explained: dict[int, ReceiverExplanation]) -> dict[str, Any]:
    receiver = track.receiver
    handle = receiver.handle
    told: dict[str, Any] = {
        "id": track.source.id,
        "kind": track.source.kind,
        "layer": receiver.current_variant,
        "queued": receiver.queued_variant,
        "layers": [
            {"name": layer.name, "bitrate": layer.bitrate, "alive": layer.is_alive}
            for layer in track.source.layers.values()
        ],
    }
    explanation = None if handle is None else explained.get(handle.id)
    if explanation is not None:
        told |= {
            "allocation": explanation.allocation,
            "next": explanation.next_step,
            "lacks": explanation.lacks,
            "priority": explanation.priority,
            "why": why(explanation),
            "blockers": [str(blocker) for blocker in explanation.blockers],
        }
    return told
