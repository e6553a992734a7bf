"""The phone's clipboard."""

from collections.abc import Callable


class Clipboard:
    """A text, and those who are told when it changes."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._listeners: list[Callable[[str], None]] = []

    @property
    def text(self) -> str | None:
        """What it holds; None as long as nobody has set it."""
        return self._text

    def set(self, text: str, by: Callable[[str], None] | None = None) -> bool:
        """Hold `text`, and tell all listeners but the one that did it; False when it is held already."""
        if text == self._text:
            return False
        self._text = text
        for listener in list(self._listeners):
            if listener != by:
                listener(text)
        return True

    def add_listener(self, listener: Callable[[str], None]) -> None:
        """Have `listener` told of changes, until `remove_listener`."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[str], None]) -> None:
        """Tell it no more."""
        self._listeners.remove(listener)
