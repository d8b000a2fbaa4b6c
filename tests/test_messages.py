"""Messages are frozen plain data: they can be compared, copied, and sent far away."""

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, fields
from typing import get_args

import pytest

from trio_allocator import (
    AcceptDecrease,
    AllocationGranted,
    AllocatorMessage,
    BufferSent,
    DecreaseAllocation,
    GrantReason,
    ReceiverMessage,
    RejectDecrease,
    RequestAllocation,
    SendPadding,
    SetNegotiabilityStatus,
    SetOptions,
    SetVariants,
)

MESSAGES = [
    AllocationGranted(5, GrantReason.FORCED, 1),
    DecreaseAllocation(5, 4, 3, 1),
    SendPadding(256, 1),
    BufferSent(1_200, padding=True),
    RequestAllocation(5),
    SetNegotiabilityStatus(True),
    AcceptDecrease(3, 1, 4),
    RejectDecrease(3, 1),
    SetVariants({"low": 5}),
    SetOptions({"priority": 5}),
]


def test_every_message_is_tested_here():
    every = {*get_args(AllocatorMessage), *get_args(ReceiverMessage)}
    assert {type(message) for message in MESSAGES} == every


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_a_frozen_value_that_travels(message):
    assert pickle.loads(pickle.dumps(message)) == message == copy.deepcopy(message)
    assert type(message)(**{f.name: getattr(message, f.name) for f in fields(message)}) == message
    assert not hasattr(message, "__dict__")
    with pytest.raises(FrozenInstanceError):
        setattr(message, fields(message)[0].name, 0)
    plain = (int, float, bool, str, dict, GrantReason, type(None))
    assert all(isinstance(value, plain) for value in asdict(message).values())


def test_reasons_have_readable_values():
    assert [reason.value for reason in GrantReason] == ["granted", "lowered", "forced", "breach"]
