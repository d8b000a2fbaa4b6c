"""An engine that is judged by the model at every event, wherever it runs."""

from __future__ import annotations

from tests.engine import model
from trio_allocator.engine.engine import Engine
from trio_allocator.engine.negotiation import Negotiation
from trio_allocator.engine.settings import NEVER
from trio_allocator.report.status import snapshot


class SpiedEngine(Engine):
    """As the engine, and complains of itself."""

    def __init__(self, settings, *, now, initial_estimate=None, policy=None, limits=None):
        super().__init__(
            settings, now=now, initial_estimate=initial_estimate, policy=policy, limits=limits
        )
        self.witness = model.Witness(
            settings.negotiation_timeout,
            settings.hold,
            settings.refusal_backoff,
        )
        self.witness.limits = self.limits
        if initial_estimate is not None:
            self.witness.begin(now, initial_estimate)
        self.last_event = "open"

    def judge(self, actor, event):
        """Hear what was said and not yet taken, and look at all the books."""
        self.last_event = event
        effects = list(self.settlement.effects)
        self.witness.hear(self, self.now, effects, actor, event)
        model.check_books(self)
        if event != "void":  # time has passed, and its alarm may be a moment late (PRECISION)
            model.check_shares(self, self.witness, snapshot(self), event)
        model.check_probe(self, self.witness, self.settlement._settings, self.now)

    def judge_again(self):
        """When everybody has had its turn nothing may have changed without an event."""
        self.judge(0, self.last_event)

    def register(self, now, track, options, bandwidth, account):
        self.witness.begin(now)
        # It may be granted more in this very event, which is judged when it is known.
        record = super().register(now, track, options, bandwidth, account)
        self.witness.seen[record.id] = model.Seen(record, bandwidth)
        self.judge(record.id, "register")
        return record

    def leave(self, now, receiver):
        del self.witness.seen[receiver.id]
        self.witness.begin(now)
        super().leave(now, receiver)
        effects = self.settlement.effects
        effects[:] = [e for e in effects if e.receiver_id != receiver.id]
        self.judge(receiver.id, "leave")

    def update_estimate(self, now, bitrate, carried=None):
        self.witness.begin(now, bitrate)
        super().update_estimate(now, bitrate, carried)
        self.judge(0, "estimate")

    def limit(self, now, limits):
        self.witness.begin(now, limits=limits)
        super().limit(now, limits)
        self.judge(0, "limit")

    def request(self, now, receiver, bitrate):
        self.witness.begin(now)
        keeps_word = receiver.negotiation is Negotiation.PLEDGED
        repeats = self._awaiting and bitrate == receiver.claim
        super().request(now, receiver, bitrate)
        self.judge(receiver.id, "answer" if keeps_word or repeats else "request")

    def answer(self, now, receiver, request_id, *, accepted, bitrate=None):
        self.witness.begin(now)
        estimate = model.usable(self)
        self.last_event = "void"
        counts = super().answer(now, receiver, request_id, accepted=accepted, bitrate=bitrate)
        if counts:
            request = receiver.request
            if not accepted:
                self.witness.refuse(receiver.id, now, estimate)
            elif request is not None and request.id == request_id:
                self.witness.seen[receiver.id].pledged = True
        self.judge(receiver.id, "answer" if counts else "void")
        return counts

    def configure(self, now, receiver, track, options, account):
        self.witness.begin(now)
        super().configure(now, receiver, track, options, account)
        self.judge(receiver.id, "configure")

    def force(self, now, receiver, bitrate):
        self.witness.begin(now)
        super().force(now, receiver, bitrate)
        self.judge(receiver.id, "force")

    def advance(self, now, *, heard_until=NEVER):
        estimate = model.usable(self)
        live = now < self.estimates.stale_at
        asked = [s for s in self.witness.seen.values() if s.request is not None]
        due = [(s, s.pledged) for s in asked if s.deadline <= min(now, heard_until)]
        breaches = self.breaches
        self.witness.begin(now)
        if estimate is not None and live:
            for s, _ in due:
                request, pledged = s.request, s.pledged
                self.witness.refuse(s.record.id, now, estimate)
                s.request, s.pledged = request, pledged
        super().advance(now, heard_until=heard_until)
        for s, pledged in due:
            if pledged and s.record.request is None:
                s.request, s.pledged = None, False
        self.judge(0, "advance")
        for s, _ in due:
            ended = s.record.request is None or s.record.request.deadline > now
            assert ended, "N3: a deadline was not judged"
        if live and estimate is not None:
            expected = sum(pledged for _, pledged in due)
            assert self.breaches - breaches == expected, "N4: a broken promise is a breach"
