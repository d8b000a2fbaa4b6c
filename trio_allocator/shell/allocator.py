"""The real allocator: the engine, a mailbox per receiver, and the tasks that own time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar, Unpack

import trio

from .. import quantities
from ..engine.effects import Act
from ..engine.engine import Engine
from ..engine.limits import LimitChanges, Limits
from ..engine.negotiator import AnswerError
from ..engine.probing.padding import PaddingAccount
from ..engine.settings import SettingChanges
from ..engine.sharing.registry import PolicyName
from ..interface import Claims, ConnectionAllocator, ReceiverHandle
from ..messages import AllocationGranted
from ..options import ReceiverOptionChanges, ReceiverOptions
from ..policies.policy import Policy
from ..tracks import Track
from .checks import Opening, check_opening, check_own, check_registration
from .decisions import DecisionLog
from .explaining import Explaining
from .mailbox import Mailbox, RegistrationEndedError
from .registration import Registration, claims_of, has_left
from .reporting import Reporter
from .tasks import Timekeeper
from .watching import Watch, WatchedValue

P = ParamSpec("P")
R = TypeVar("R")


class ProbingAllocator(Explaining, ConnectionAllocator):
    """Divides the bandwidth of one connection, negotiates decreases, and probes with padding.

    Make one with `open_allocator`, or with `create` in a nursery of your own.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._decision_log = DecisionLog(engine)
        self._registrations: dict[int, Registration] = {}
        self._estimate: WatchedValue[int | None] = WatchedValue(engine.estimates.value)
        self._deciding = False
        self._ended = False
        self._closes_itself = True
        self._failure: BaseException | None = None
        self._reporter = Reporter(engine)
        self._time = Timekeeper(
            engine,
            advance=self._advance,
            pad=self._pad,
            failure=lambda: self._failure,
            gone=self._tasks_gone,
        )

    # --- lifetime ----------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        nursery: trio.Nursery,
        *,
        initial_estimate: float | None = None,
        policy: PolicyName | Policy | None = None,
        max_bitrate: float | None = None,
        reserve: float = 0,
        **settings: Unpack[SettingChanges],
    ) -> ProbingAllocator:
        """Start an allocator whose two tasks run in the caller's nursery, until `destroy`.

        If it fails, the cause is raised in that nursery.

        Args:
            nursery: Where its tasks run.
            initial_estimate: An estimate known from the start, bit/s.
            policy: How to share: by name, or a way of your own; see `PolicyName` and `Policy`.
                None for the default, ``"layered"``.
            max_bitrate: What the connection may be used for at most, bit/s; see `Limits`.
            reserve: Kept free for what is sent outside of allocations, bit/s; see `Limits`.
            **settings: See `Settings`.

        Raises:
            TypeError, ValueError: A setting is unknown, or its value is not usable.
        """
        opening = check_opening(initial_estimate, policy, max_bitrate, reserve, settings)
        return cls._start(nursery, opening)

    @classmethod
    def _start(cls, nursery: trio.Nursery, opening: Opening) -> ProbingAllocator:
        if not isinstance(nursery, trio.Nursery):
            raise TypeError(f"nursery must be a trio.Nursery, not {nursery!r}")
        engine = Engine(
            opening.settings,
            now=trio.current_time(),
            initial_estimate=opening.initial_estimate,
            policy=opening.policy,
            limits=opening.limits,
        )
        self = cls(engine)
        self._time.start(nursery)
        return self

    @classmethod
    def _start_in_block(cls, nursery: trio.Nursery, opening: Opening) -> ProbingAllocator:
        """As `create`, but it is the block that closes it: cancelled, the body may still clean up."""
        self = cls._start(nursery, opening)
        self._closes_itself = False
        return self

    def _tasks_gone(self) -> None:
        if self._closes_itself:
            self.close()

    async def destroy(self) -> None:
        """End the allocator, and wait until its tasks have ended. May be called twice."""
        self.close()
        await self._time.wait_ended()

    def close(self) -> None:
        """End the allocator at once: every registration is over, its tasks end soon."""
        if not self._ended:
            self._check_idle()
            self._ended = True
            self._end_registrations()

    def _end_registrations(self) -> None:
        for registration in self._registrations.values():
            registration.end(self._ending)
        self._registrations.clear()
        self._estimate.end()
        self._decision_log.end(None if self._failure is None else self._ending)
        self._time.stop()

    @property
    def failure(self) -> BaseException | None:
        """Why the allocator failed; None as long as it has not."""
        return self._failure

    def _fail(self, cause: BaseException) -> None:
        """Close it after a failure inside; the watching task raises the cause (L3)."""
        self._failure = cause
        self._ended = True
        self._end_registrations()

    def _ending(self) -> Exception:
        if self._failure is None:
            return RegistrationEndedError("the allocator has ended")
        broken = trio.BrokenResourceError("the allocator has failed")
        broken.__cause__ = self._failure
        return broken

    def _check_open(self) -> None:
        if self._failure is not None:
            raise trio.BrokenResourceError("the allocator has failed") from self._failure
        if self._ended:
            raise trio.ClosedResourceError("the allocator has ended")

    # --- the contract ------------------------------------------------------------------------

    @property
    def estimate(self) -> Watch[int | None]:
        """The estimate in force, bit/s; None before the first one and when they have stopped."""
        return Watch(self._estimate)

    @property
    def limits(self) -> Limits:
        """The limits of the connection in force."""
        return self._engine.limits

    def set_limits(self, **changes: Unpack[LimitChanges]) -> None:
        """Change limits of the connection; those not named stay. Effective in this call.

        What is too much now is asked back at once; what becomes free is granted at once.

        Args:
            **changes: ``max_bitrate`` and ``reserve``, bit/s; see `Limits`.

        Raises:
            TypeError, ValueError: A limit is unknown, or its value is not usable.
            trio.ClosedResourceError: The allocator has ended.
        """
        self._check_open()
        self._decide(self._engine.limit, self._engine.limits.changed(changes))
        self._deliver()

    @property
    def claims(self) -> Claims:
        """See `ConnectionAllocator.claims`; costs in proportion to the receivers."""
        return claims_of(self._registrations.values())

    def register_track_receiver(
        self,
        track: Track,
        bandwidth: float = 0,
        **options: Unpack[ReceiverOptionChanges],
    ) -> Registration:
        """See `ConnectionAllocator.register_track_receiver`."""
        self._check_open()
        checked, held = check_registration(track, bandwidth, options)
        account = PaddingAccount()
        receiver = self._decide(self._engine.register, track, checked, held, account)
        mailbox = Mailbox(receiver.id, account, self._engine.prober.padding)
        registration = Registration(self, receiver, account, mailbox, self._engine.meter)
        self._registrations[receiver.id] = registration
        # Registering sends it no message, but others may have to make room. It may be among them.
        self._deliver()
        return registration

    def update_bandwidth_estimation(self, estimate: float, *, carried: float | None = None) -> None:
        """See `ConnectionAllocator.update_bandwidth_estimation`."""
        self._check_open()
        bitrate = quantities.bitrate("estimate", estimate)
        seen = None if carried is None else quantities.bitrate("carried", carried)
        self._decide(self._engine.update_estimate, bitrate, seen)
        self._deliver()

    def force_allocation(self, receiver: ReceiverHandle, bitrate: float) -> None:
        """See `ConnectionAllocator.force_allocation`."""
        self._check_open()
        whole = quantities.bitrate("bitrate", bitrate)
        registration = check_own(receiver, Registration, self)
        self._decide(self._engine.force, registration.receiver, whole)
        self._deliver()

    # --- what registrations call -------------------------------------------------------------

    def request(self, registration: Registration, bitrate: int) -> None:
        """See `Desk.request`."""
        self._decide(self._engine.request, registration.receiver, bitrate)
        self._deliver()

    def answer(
        self,
        registration: Registration,
        request_id: int,
        *,
        accepted: bool,
        bitrate: int | None,
    ) -> bool:
        """See `Desk.answer`."""
        try:
            counts = self._decide(
                self._engine.answer,
                registration.receiver,
                request_id,
                accepted=accepted,
                bitrate=bitrate,
            )
        except AnswerError:
            self._deliver()  # what time alone had brought
            raise
        self._deliver()
        return counts

    def configure(self, registration: Registration, track: Track, options: ReceiverOptions) -> None:
        """See `Desk.configure`."""
        self._decide(
            self._engine.configure, registration.receiver, track, options, registration.account
        )
        self._deliver()

    def padding_sent(self, registration: Registration, size: int) -> None:
        """See `Desk.padding_sent`."""
        padding = self._engine.prober.padding
        self._decide(lambda _now: padding.sent(registration.account, size))

    def leave(self, registration: Registration) -> None:
        """See `Desk.leave`."""
        self._check_idle()
        del self._registrations[registration.id]
        registration.end(has_left)
        self._decide(self._engine.leave, registration.receiver)
        self._deliver()

    # --- one decision ------------------------------------------------------------------------

    # Ctrl-C waits for the next checkpoint: it must not tear the books apart.
    @trio.lowlevel.enable_ki_protection
    def _decide(
        self,
        event: Callable[Concatenate[float, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Let the engine handle an event."""
        self._check_idle()
        now = trio.current_time()
        self._deciding = True
        try:
            return event(now, *args, **kwargs)
        except AnswerError:
            raise  # the caller's fault, and nothing has changed
        except Exception as cause:
            self._fail(cause)
            raise trio.BrokenResourceError("the allocator has failed") from cause
        except BaseException as cause:  # such as a SystemExit in a policy: the books are torn, too
            self._fail(cause)
            raise
        finally:
            self._deciding = False

    def _check_idle(self) -> None:
        if self._deciding:
            raise RuntimeError("a policy must be a pure function: it can not call its allocator")

    def _deliver(self) -> None:
        """Hand out what was decided; only then may anything of the user's run (L5)."""
        self._hand_out()
        self._reporter.report()
        self._estimate.publish(self._engine.estimates.value)

    @trio.lowlevel.enable_ki_protection
    def _hand_out(self) -> None:
        registrations = self._registrations
        effects = self._engine.drain()
        if self._decision_log.listeners:
            self._decision_log.tell(effects)
        for effect in effects:
            registration = registrations.get(effect.receiver_id)
            if registration is None:
                continue  # it leaves in this very call: its messages die with it (L2)
            mailbox, message = registration.mailbox, effect.message
            if isinstance(message, AllocationGranted):
                mailbox.put_grant(message)
            elif effect.act is Act.WITHDRAWN:
                mailbox.withdraw_request()
            elif message is not None and effect.act is Act.REVISED:
                mailbox.revise_request(message)
            elif message is not None:
                mailbox.put_request(message)
        self._time.arm()

    # --- what time calls -----------------------------------------------------------------

    def _advance(self, heard_until: float) -> None:
        try:
            self._decide(self._engine.advance, heard_until=heard_until)
            self._deliver()
        except trio.BrokenResourceError:
            pass  # it has failed, which is noted: the watching task raises the cause
        except Exception as cause:  # noqa: BLE001 - such as a log filter of the user's
            self._fail(cause)

    def _pad(self) -> None:
        try:
            due = self._decide(self._engine.prober.tick)
        except trio.BrokenResourceError:
            return  # as above
        for receiver_id in due:
            self._registrations[receiver_id].mailbox.wake()
