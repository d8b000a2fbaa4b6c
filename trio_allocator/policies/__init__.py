"""Ways to share as pure functions: claims and a capacity in, allocations out.

`policy` is the contract for a policy of your own. Nothing in here knows the engine: `engine.sharing` asks a
policy when its answer may be another, checks the answer, and keeps an index for the default one.
"""
