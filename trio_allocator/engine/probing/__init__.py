"""When the connection is probed, how far, and whose padding is due."""
