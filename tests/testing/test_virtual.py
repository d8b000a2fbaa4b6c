"""An app in virtual time is the same each time."""

from __future__ import annotations

import pytest
import trio

from trio_allocator.testing import run_virtually


async def order_of_tasks(rounds):
    """The order in which ten tasks have their turn, some times over."""
    order = []

    async def take_part(number):
        for _ in range(rounds):
            order.append(number)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(take_part, number)
    return order


def test_one_seed_is_one_order_and_another_another():
    orders = [run_virtually(order_of_tasks, 8, seed=seed) for seed in (1, 1, 2, 3, 1)]
    assert orders[0] == orders[1] == orders[4]
    assert len({tuple(order) for order in orders}) > 1


def test_time_is_virtual_and_what_is_returned_comes_back():
    async def sleep_long():
        await trio.sleep(10_000)
        return trio.current_time()

    assert run_virtually(sleep_long) == 10_000


def test_chance_outside_is_as_it_was():
    before = [trio.run(order_of_tasks, 8) for _ in range(12)]
    run_virtually(order_of_tasks, 8, seed=1)
    after = [trio.run(order_of_tasks, 8) for _ in range(12)]
    assert before != after, "every run was the same"


async def fail():
    await trio.lowlevel.checkpoint()
    raise KeyError("mine")


def test_what_it_raises_comes_out():
    with pytest.raises(KeyError, match="mine"):
        run_virtually(fail)


@pytest.mark.parametrize(("seed", "error"), [(1.5, TypeError), (2**64, ValueError)])
def test_a_seed_is_a_number(seed, error):
    with pytest.raises(error, match="seed"):
        run_virtually(order_of_tasks, 1, seed=seed)


async def test_inside_of_a_run_no_other_can_start():
    with pytest.raises(RuntimeError, match="plain test"):
        run_virtually(fail)
