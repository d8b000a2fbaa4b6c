"""Recordings, and what an allocator makes of them."""
