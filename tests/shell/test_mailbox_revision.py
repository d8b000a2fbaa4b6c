"""What takes the place of an unread request, and what is kept of padding that was read."""

import pytest
import trio

from trio_allocator import DecreaseAllocation, SendPadding
from trio_allocator.engine.probing.padding import Meter, Padding, PaddingAccount
from trio_allocator.shell.mailbox import Mailbox

FIRST, REVISED = (DecreaseAllocation(500, limit, 1, 1) for limit in (100, 300))


@pytest.fixture
def mailbox():
    return Mailbox(1, PaddingAccount(), None)


@pytest.mark.invariant("N4", "N7")
def test_an_unread_request_is_replaced(mailbox):
    mailbox.put_request(FIRST)
    mailbox.revise_request(REVISED)
    assert mailbox.receive_nowait() == REVISED
    with pytest.raises(trio.WouldBlock):
        mailbox.receive_nowait()


@pytest.mark.invariant("N4", "N7")
def test_one_that_was_read_is_not_sent_again(mailbox):
    mailbox.put_request(FIRST)
    mailbox.receive_nowait()
    mailbox.revise_request(REVISED)
    with pytest.raises(trio.WouldBlock):
        mailbox.receive_nowait()


@pytest.mark.invariant("C3")
def test_padding_that_was_read_is_unread_nowhere():
    account, padding = PaddingAccount(), Padding(Meter(), 100)
    padding.join(1, account)
    padding.start(0.0, 8_000, 0.5)
    padding.due(0.5)
    assert Mailbox(1, account, padding).receive_nowait() == SendPadding(500, 1)
    assert (account.unread, padding._unread) == (0, {})
