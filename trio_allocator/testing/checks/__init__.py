"""The checks of `check_allocator`, by the groups of the invariants."""
