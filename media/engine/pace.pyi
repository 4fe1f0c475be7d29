LATENESS_BOUNDS_US: tuple[int, ...]
"""Upper bounds of the distribution of lateness, microseconds."""
