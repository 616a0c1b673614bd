"""A rank test on times, which a few slow samples can't sway."""


def odds(first, second):
    """How often a sample of ``second`` is above one of ``first``: Mann-Whitney's U over n*m.

    0.5 where both come from one distribution; 0 or 1 where they do not meet.
    """
    below = sum((a < b) + 0.5 * (a == b) for a in first for b in second)
    return below / (len(first) * len(second))


def spread(count):
    """The standard deviation of :func:`odds` for as many samples on each side, if both are one."""
    return ((2 * count + 1) / (12 * count * count)) ** 0.5
