"""The laboratory: links, media and peers to measure an allocator with."""
