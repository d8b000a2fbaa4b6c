"""The engine: an event and ``now`` in, effects out.

No module in here knows Trio, a clock, randomness or logging: the same decisions run in a nursery,
under Hypothesis at full speed, and in a simulator. Imports run one way:
settings, negotiation, lows < receiver < ledger, estimates, caution, padding, prober, negotiator < line,
shelves < fair, policies < settlement < engine < status.
"""
