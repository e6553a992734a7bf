"""What differs between the versions of scrcpy's server."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """A version such as 3.3.4. Read off the sources of the releases from 3.0 to 4.1."""

    name: str

    @property
    def number(self) -> tuple[int, ...]:
        """Its numbers; none for what is no version."""
        match = re.fullmatch(r"\d{1,9}(\.\d{1,9})+", self.name, re.ASCII)
        return tuple(map(int, self.name.split("."))) if match else ()

    @property
    def is_emulated(self) -> bool:
        """Whether the demo phone knows how it behaves."""
        return (3,) <= self.number < (5,)

    @property
    def has_sessions(self) -> bool:
        """Whether sizes come in session packets, and not in the video header (4.0)."""
        return self.number >= (4,)

    @property
    def rounds_to_8(self) -> bool:
        """Whether sides are multiples of 8, and not of what the encoder asks for (before 4.0)."""
        return self.number < (4,)

    @property
    def tries_declared_limits(self) -> bool:
        """Whether it takes the encoder's word for its limits before it guesses at smaller sizes (4.1)."""
        return self.number >= (4, 1)

    @property
    def audio_failure_is_error(self) -> bool:
        """Whether a missing audio encoder is told as an error, and not as audio that is merely disabled (4.0)."""
        return self.number >= (4,)

    @property
    def uhid_has_ids(self) -> bool:
        """Whether UHID_CREATE carries vendor and product (3.1)."""
        return self.number >= (3, 1)

    @property
    def scroll_range(self) -> int:
        """What the largest scroll value on the wire stands for (16 since 3.3.1)."""
        return 16 if self.number >= (3, 3, 1) else 1

    @property
    def uncaught_kills(self) -> bool:
        """Whether an exception that no thread catches kills the process, as Android wants (3.3.4)."""
        return self.number >= (3, 3, 4)

    @property
    def control_error_is_logged(self) -> bool:
        """Whether an unknown control message is complained of before the server ends (4.0)."""
        return self.number >= (4,)
