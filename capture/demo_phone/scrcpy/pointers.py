"""Which finger a client's pointer is (com.genymobile.scrcpy.control.PointersState)."""

_MOST = 10


class Pointers:
    """The clients' pointers that are down, or were not yet said to be up; each has the lowest number that is free."""

    def __init__(self) -> None:
        self._fingers: dict[int, int] = {}

    def finger(self, pointer_id: int) -> int | None:
        """The finger of a pointer, 0 to 9, a free one if it has none; None when all are taken."""
        if pointer_id not in self._fingers:
            free = set(range(_MOST)) - set(self._fingers.values())
            if not free:
                return None
            self._fingers[pointer_id] = min(free)
        return self._fingers[pointer_id]

    def release(self, pointer_id: int) -> None:
        """The pointer is up."""
        self._fingers.pop(pointer_id, None)
