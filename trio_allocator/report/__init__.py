"""What an engine says of itself: status, statistics, explanations."""
