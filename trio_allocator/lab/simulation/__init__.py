"""A simulated world to measure policies in: link, cameras, estimates, a baseline and an oracle."""
