"""The engine: an event and ``now`` in, effects out.

No module in here knows Trio, a clock, randomness or logging: the same decisions run in a nursery,
under Hypothesis at full speed, and in a simulator. One decision is read from the top in this order:
`engine` (the event), `headroom` (how far raises may go), `settlement` (what it changes),
`sharing.first_fit` and `sharing.class_order` (who should have what), `negotiator` (who is asked),
`ledger` (the books), `effects` (what is told). `dips` says when a decrease waits; `probing` says when
padding is sent.
"""
