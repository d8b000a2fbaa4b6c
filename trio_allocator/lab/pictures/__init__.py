"""What is drawn to be looked at."""
