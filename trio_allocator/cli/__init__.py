"""The command line: ``trio-allocator replay`` and ``trio-allocator demo`` (the extra ``cli``)."""
