"""The whole allocator in its nursery, with everything that may happen to it, against both models."""

from contextlib import asynccontextmanager
from unittest import mock

from hypothesis import settings

from tests.engine.spied import SpiedEngine
from tests.testing.test_conformance import NOT_CLAIMED
from trio_allocator import ProbingAllocator, open_allocator, open_passthrough_allocator
from trio_allocator.testing.machine import AllocatorMachine


@asynccontextmanager
async def open_spied_allocator(**options):
    with mock.patch("trio_allocator.shell.allocator.Engine", SpiedEngine):
        async with open_allocator(**options) as allocator:
            yield allocator


class NurseryMachine(AllocatorMachine):
    def open_allocator(self):
        return open_spied_allocator()

    async def settle(self):
        await super().settle()
        allocator = self.allocator
        assert isinstance(allocator, ProbingAllocator)
        assert isinstance(allocator._engine, SpiedEngine)
        allocator._engine.judge_again()


class PassthroughMachine(AllocatorMachine):
    # What is forced down stays there until it is asked for again.
    except_for = frozenset(NOT_CLAIMED | {"G2"})

    def open_allocator(self):
        return open_passthrough_allocator()


for machine in (NurseryMachine, PassthroughMachine):
    machine.TestCase.settings = settings(max_examples=settings().max_examples * 5 // 2)
TestNursery = NurseryMachine.TestCase
TestPassthrough = PassthroughMachine.TestCase
