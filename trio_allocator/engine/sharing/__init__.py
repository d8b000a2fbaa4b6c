"""Who should hold what: the order in which receivers are served and cut."""
