"""``python -m trio_allocator.cli``."""

from .main import main

if __name__ == "__main__":
    main()
