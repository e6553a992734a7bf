"""What keeps the service from starting."""


class CannotStart(Exception):
    """The service cannot start; the text says what to change."""
