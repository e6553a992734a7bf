"""What ends a benchmark early."""


class BenchmarkError(Exception):
    """The measurement cannot be made or would be wrong; the text says why."""
