"""Does a track receiver keep its side of the contract? A check for any implementation of it.

What a receiver owes is not among the invariants, which are an allocator's: it has rules of its own,
`RECEIVER_RULES`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import product

import trio

from .. import quantities
from ..engine.negotiation import Negotiation
from ..messages import AcceptDecrease, DecreaseAllocation, GrantReason, RequestAllocation
from .receiver_bench import (
    ANY_TRACK,
    MOMENTS,
    PROMPTLY,
    RECEIVER_RULES,
    WARM_UP,
    Complaint,
    ReceiverBench,
    ReceiverMaker,
    ReceiverRuleError,
    Session,
    insist,
)
from .recording import Call, Registered, Told
from .violation import ConformanceError, check_ids
from .virtual import Watchman, check_callable_outside, run_watched, tasks

MEASURED = 4.0
"""For how long it is measured what a receiver sends, s."""
MESSAGES = 20
"""How many messages in a second are no conversation any more; reports of packets are not meant."""
STEPS_PER_PACKET = 10
"""How many steps of tasks a packet may take."""
_ODD_MOMENTS = (0.0, 0.0137, WARM_UP + 0.0137)
"""When a life ends, s after registering. Not when a packet is due: which of two tasks that wake at
the same time is first is chance, and a check does not fail by chance."""


async def _registers_once(bench: ReceiverBench) -> None:
    async with bench.session() as session:
        await session.start()
        (first, *_) = session.allocator.told(Registered)
        most = max(first.track.steps, default=ANY_TRACK)
        insist(
            first.bandwidth <= most, f"it registered with {first.bandwidth} bit/s, of {most} useful"
        )
        for share in (0.5, 0.0, 1.0):
            session.allocator.grant(session.receiver, share * session.top)
            await session.let(WARM_UP)
        number = len(session.allocator.told(Registered))
        insist(number == 1, f"it registered {number} times")


async def _complies(bench: ReceiverBench) -> None:
    async with bench.session() as session:
        await session.start()
        top = await session.fill()
        insist(session.packets(), f"it may send {top} bit/s, and has not reported a packet")
        session.allocator.grant_requests = False
        for share, reason in (
            (0.75, GrantReason.FORCED),
            (0.5, GrantReason.BREACH),
            (0.5, GrantReason.FORCED),
            (0.0, GrantReason.FORCED),
        ):
            lower = int(share * session.receiver.allocation)
            session.allocator.grant(session.receiver, lower, reason)
            await _stays_within(session, f"after {lower} bit/s were granted")
        await session.fill()
        session.allocator.grant_requests = False
        if session.ask(0.5):
            await _stays_within(session, "after it was asked to decrease")


async def _stays_within(session: Session, when: str) -> None:
    bench = session.bench
    await session.let(bench.negotiation_timeout)
    # What it gives up by itself later has a grace of its own, and is not demanded here.
    allowed = session.receiver.allocation
    await session.let(bench.grace)
    start = len(session.allocator.calls)
    await session.let(MEASURED)
    packets = session.packets(since=start)
    # Where packets fall is chance: one more or less says nothing, unless none may be sent.
    spare = max(packets, default=0) * 8 if allowed else 0
    sent = sum(packets) * 8
    insist(
        sent <= allowed * MEASURED * (1 + bench.tolerance) + spare,
        f"{when} and {bench.grace} s of grace, it sent {sent / MEASURED:.0f} bit/s, holding {allowed}",
    )


async def _answers(bench: ReceiverBench) -> None:
    async with bench.session() as session:
        await session.start()
        asked: list[int] = []
        for share in (0.9, 0.5, 0.1, 0.0):
            await session.fill()
            if request := session.ask(share):
                asked.append(request.request_id)
                await _answered_once(session, request)
        await session.fill()
        if session.ask(0.5):
            session.allocator.withdraw(session.receiver)
            await session.let(PROMPTLY)
        for call in session.answers():
            insist(
                call.what.request_id in asked and call.what.receiver_id == session.receiver.id,
                f"it answered a request that it never got: {call.what}",
            )


async def _answered_once(session: Session, request: DecreaseAllocation) -> None:
    deadline = trio.current_time() + session.bench.negotiation_timeout
    await session.let(PROMPTLY)
    answers = [c for c in session.answers() if c.what.request_id == request.request_id]
    insist(len(answers) <= 1, f"it answered {len(answers)} times: {request}")
    unanswered = session.record.negotiation is Negotiation.ASKED
    insist(
        not unanswered and all(c.time < deadline for c in answers), f"no answer in time: {request}"
    )


async def _keeps_promises(bench: ReceiverBench) -> None:
    async with bench.session() as session:
        await session.start()
        for share in (0.9, 0.5, 0.1, 0.0):
            await session.fill()
            start = len(session.allocator.calls)
            request = session.ask(share)
            await session.let(PROMPTLY)
            if request:
                _promises_kept(session.allocator.calls[start:], request)


def _promises_kept(calls: Sequence[Call[Told]], request: DecreaseAllocation) -> None:
    for number, call in enumerate(calls):
        if not isinstance(call.what, AcceptDecrease):
            continue
        insist(call.error is None, f"it accepted to hold less, but not less: {call.error}")
        kept = call.what.bitrate is not None or any(
            isinstance(later.what, RequestAllocation)
            and later.time == call.time
            and later.what.bitrate < request.allocation
            for later in calls[number:]
        )
        insist(kept or not call.taken, f"it accepted, and did not request less at once: {request}")


async def _goes_on(bench: ReceiverBench) -> None:  # noqa: ASYNC910 - there are moments
    for (name, act), seconds in product(MOMENTS.items(), (0.0, WARM_UP)):
        async with bench.session() as session:
            await session.start()
            if seconds:
                await session.fill()
            act(session)
            try:
                await session.let(PROMPTLY)
            except Complaint as complaint:
                told = f"{name} {seconds} s after registering, {complaint}"
                raise Complaint(told, complaint.rule) from complaint.__cause__


async def _pads(bench: ReceiverBench) -> None:
    async with bench.session() as session:
        await session.start()
        await session.fill()
        if not session.receiver.options.can_pad:
            return
        total = 0
        for size in (0, 1_200, 100, 50_000):
            session.pad(size)
            total += size
            await session.let(PROMPTLY)
            sent = sum(session.packets(padding=True))
            insist(sent <= total, f"it reported {sent} bytes of padding, asked for {total}")
        insist(sent, f"it reported no padding, asked for {total} bytes")


async def _ends(bench: ReceiverBench) -> None:  # noqa: ASYNC910 - there are moments
    for seconds in _ODD_MOMENTS:
        async with bench.session() as session:
            await session.start()
            await session.let(seconds)
            session.receiver.close()
            await session.end("its registration closed")
        async with bench.session() as session:
            await session.start()
            await session.let(seconds)
            session.allocator.close()
            await session.end("its allocator closed")


async def _leaves_nothing(bench: ReceiverBench) -> None:  # noqa: ASYNC910 - there are moments
    for seconds in _ODD_MOMENTS:
        before = tasks()
        async with bench.session() as session:
            await session.start()
            await session.let(seconds)
            session.close()
            await session.end("cancelled")
        left = tasks() - before
        insist(not left, f"it left tasks: {', '.join(task.name for task in left)}")
        insist(not session.allocator.receivers, "it left its registration")


async def _sleeps(bench: ReceiverBench) -> None:
    async with bench.session() as session:
        await session.start()
        top = await session.fill()
        session.allocator.grant_requests = False
        for share in (1.0, 0.5, 0.0):
            session.allocator.grant(session.receiver, share * top)
            await session.let(PROMPTLY)
            steps, start = bench.watchman.steps, len(session.allocator.calls)
            await session.let(MEASURED)
            steps = bench.watchman.steps - steps
            packets = len(session.packets(since=start))
            insist(
                steps <= bench.wakeups * MEASURED + STEPS_PER_PACKET * packets,
                f"its tasks took {steps} steps in {MEASURED} s",
            )
            messages = len(session.allocator.calls) - start - packets
            insist(messages <= MESSAGES * MEASURED, f"it sent {messages} messages in {MEASURED} s")


_CHECKS: Mapping[str, Callable[[ReceiverBench], Awaitable[None]]] = {
    "R1": _registers_once,
    "R2": _complies,
    "R3": _answers,
    "R4": _keeps_promises,
    "R5": _goes_on,
    "R6": _pads,
    "R7": _ends,
    "R8": _leaves_nothing,
    "R9": _sleeps,
}


def check_track_receiver(
    make: ReceiverMaker,
    *,
    except_for: Collection[str] = (),
    grace: float = 1.0,
    tolerance: float = 0.05,
    negotiation_timeout: float = 0.05,
    wakeups: int = 1_000,
) -> None:
    """Check the receiver's side of the contract, rule by rule; see `RECEIVER_RULES`.

    ::

        def test_my_receiver_keeps_the_contract():
            check_track_receiver(run_my_receiver)

    As `check_allocator`, it is not asynchronous: every rule is checked in a Trio run of its own,
    in virtual time.

    Args:
        make: Registers a receiver with the allocator given, and runs it, its media included, until
            it is cancelled or until the registration has ended. It is called many times.
        except_for: Ids of rules that the receiver does not claim to keep.
        grace: How long it may take to send less: until the next key frame, s.
        tolerance: By which part the rate sent may exceed the allocation.
        negotiation_timeout: How long it has to answer, s.
        wakeups: How many steps its tasks may take per virtual second, besides those for packets.

    Raises:
        ConformanceError: It breaks at least one; the message names all that were found.
        TypeError, ValueError: An argument is not usable.
        RuntimeError: It is called inside of a Trio run.
    """
    excepted = check_ids("except_for", except_for, RECEIVER_RULES)
    check_callable_outside("check_track_receiver", make)
    for name, seconds in (("grace", grace), ("negotiation_timeout", negotiation_timeout)):
        quantities.positive(name, seconds, "seconds")
    quantities.positive("tolerance", tolerance, "a part of the allocation")
    quantities.whole_number("wakeups", wakeups, 1, 10**9)
    found: dict[str, ReceiverRuleError] = {}
    for checked, check in _CHECKS.items():
        if checked in excepted:
            continue
        complaint = _complaint(
            check, partial(ReceiverBench, make, grace, tolerance, negotiation_timeout, wakeups)
        )
        if complaint is not None:
            # What breaks another rule ends a check, too; it is said once.
            other = complaint.rule is not None and complaint.rule not in excepted
            rule = complaint.rule if other and complaint.rule else checked
            violation = ReceiverRuleError(rule, str(complaint))
            violation.__cause__ = complaint.__cause__
            found.setdefault(rule, violation)
    if found:
        raise ConformanceError(
            getattr(make, "__qualname__", repr(make)), [found[rule] for rule in sorted(found)]
        )


def _complaint(
    check: Callable[[ReceiverBench], Awaitable[None]], bench: Callable[[Watchman], ReceiverBench]
) -> Complaint | None:
    try:
        run_watched(lambda watchman: check(bench(watchman)))
    except Complaint as complaint:
        return complaint
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not what was promised
        unfinished = Complaint(
            f"the check could not be finished: {error!r}",
            "R9" if isinstance(error, trio.TooSlowError) else None,
        )
        unfinished.__cause__ = error
        return unfinished
    return None
