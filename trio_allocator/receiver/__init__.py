"""The receiver's side: which variant to send, and the whole protocol for one track."""

from .actions import (
    RequestVariant as RequestVariant,
    SelectorAction as SelectorAction,
    SwitchReason as SwitchReason,
)
from .selector import VariantSelector as VariantSelector
from .statistics import ReceiverStatistics as ReceiverStatistics
from .track_receiver import TrackReceiver as TrackReceiver
