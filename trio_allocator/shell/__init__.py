"""The allocators one opens: time, tasks and mailboxes around the engine."""
