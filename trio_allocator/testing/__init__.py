"""A kit for those who write an allocator, a track receiver or an app, and want it tested."""

from .conformance import ConformanceError as ConformanceError, check_allocator as check_allocator
