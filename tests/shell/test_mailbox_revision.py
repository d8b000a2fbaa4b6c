"""A decrease request that asks for something else now takes the place of the unread one."""

import pytest
import trio

from trio_allocator import DecreaseAllocation
from trio_allocator.engine.padding import PaddingAccount
from trio_allocator.mailbox import Mailbox

pytestmark = pytest.mark.invariant("N4", "N7")

FIRST, REVISED = (DecreaseAllocation(500, limit, 1, 1) for limit in (100, 300))


@pytest.fixture
def mailbox():
    return Mailbox(1, PaddingAccount(), None)


def test_an_unread_request_is_replaced(mailbox):
    mailbox.put_request(FIRST)
    mailbox.revise_request(REVISED)
    assert mailbox.receive_nowait() == REVISED
    with pytest.raises(trio.WouldBlock):
        mailbox.receive_nowait()


def test_one_that_was_read_is_not_sent_again(mailbox):
    mailbox.put_request(FIRST)
    mailbox.receive_nowait()
    mailbox.revise_request(REVISED)
    with pytest.raises(trio.WouldBlock):
        mailbox.receive_nowait()
