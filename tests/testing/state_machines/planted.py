"""State machines that try something broken, and what they try."""

from collections import deque
from itertools import permutations

import trio
from hypothesis import strategies as st

from trio_allocator.testing.state_machine import (
    TrioStateMachine,
    initialize,
    invariant,
    rule,
)


class Mailbox:
    """Wakes a reader only when it was empty: the second of two quick letters wakes nobody."""

    def __init__(self):
        self.letters = deque()
        self.sleepers = deque()

    def put(self, letter):
        if not self.letters and self.sleepers:
            self.sleepers.popleft().set()
        self.letters.append(letter)

    async def get(self):
        while not self.letters:
            event = trio.Event()
            self.sleepers.append(event)
            await event.wait()
        return self.letters.popleft()


class LostWakeUp(TrioStateMachine):
    @initialize()
    async def open(self):
        self.box = Mailbox()

    @rule()
    async def read(self):
        self.nursery.start_soon(self.box.get)

    @rule(letters=st.lists(st.integers(), max_size=5))
    async def put(self, letters):
        for letter in letters:
            self.box.put(letter)

    @rule(seconds=st.floats(0, 10))
    async def wait(self, seconds):
        await trio.sleep(seconds)

    @invariant()
    def nobody_sleeps_beside_a_letter(self):
        assert not (self.box.letters and self.box.sleepers)


class BackgroundCrash(TrioStateMachine):
    """The worker divides by what it is given, after a second."""

    @initialize()
    async def open(self):
        self.send, receive = trio.open_memory_channel[int](100)
        self.nursery.start_soon(self.work, receive)

    async def work(self, receive):
        async for number in receive:
            await trio.sleep(1)
            assert 60 // number is not None

    @rule(number=st.integers(0, 9))
    async def hand_in(self, number):
        self.send.send_nowait(number)

    @rule(seconds=st.sampled_from([0.5, 2.0]))
    async def wait(self, seconds):
        await trio.sleep(seconds)


class Deadlock(TrioStateMachine):
    """Two accounts are locked in the order in which they are named."""

    def __init__(self):
        super().__init__()
        self.accounts = [trio.Lock() for _ in range(3)]
        self.under_way = 0
        self.idle = trio.Event()
        self.idle.set()

    @rule(source=st.integers(0, 2), to=st.integers(0, 2))
    async def transfer(self, source, to):
        if source != to:
            self.nursery.start_soon(self.move, source, to)

    async def move(self, source, to):
        if not self.under_way:
            self.idle = trio.Event()
        self.under_way += 1
        async with self.accounts[source]:
            await trio.sleep(1)
            async with self.accounts[to]:
                self.under_way -= 1
        if not self.under_way:
            self.idle.set()

    @rule()
    async def all_done(self):
        await self.idle.wait()


class Spinning(TrioStateMachine):
    """Whoever waits for a flag polls it, without a pause."""

    rule_passes = 200

    @initialize()
    async def open(self):
        self.flag = False

    @rule(flag=st.booleans())
    async def set(self, flag):
        self.flag = flag

    @rule()
    async def wait_for_flag(self):
        while not self.flag:  # noqa: ASYNC110 - it is what is planted
            await trio.lowlevel.checkpoint()


WRONG_ORDER = list(permutations(range(4)))[17]


class TaskOrder(TrioStateMachine):
    """Four tasks start at once; one of the 24 orders in which they may run is wrong."""

    @initialize()
    async def start(self):
        order = []

        async def note(number):
            order.append(number)

        for number in range(4):
            self.nursery.start_soon(note, number)
        await trio.testing.wait_all_tasks_blocked()
        assert tuple(order) != WRONG_ORDER

    @rule()
    async def rest(self):
        pass
