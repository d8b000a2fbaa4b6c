"""Networks that are arithmetic: times and sizes go in, times come out. No sockets, no clock, no Trio.

`trio_allocator.testing` makes these names public; here they can be had without Hypothesis.
"""
