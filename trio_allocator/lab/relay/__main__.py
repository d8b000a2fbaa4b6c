"""``python -m trio_allocator.lab.relay``: see `process`."""

from .process import main

main()
