"""The phone's faults by hand: `setprop demo.fault.NAME VALUE` over plain adb.

Every field of `Faults` is one, and an empty value takes it back. Two more last for some seconds, as no command could
end them: `offline`, in which adbd drops its connections and refuses new ones, and `hangs`, in which it answers nothing.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Protocol, get_type_hints

from capture.demo_phone.faults import Faults

PREFIX = "demo.fault."

_OFFLINE, _HANGS = "offline", "hangs"

_SECONDS = "SECONDS"


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text, re.ASCII):
        raise ValueError(f"{text!r} is not a number of seconds, as 20 or 0.5")
    return float(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise ValueError(f"{text!r} is not a count, as 0 or 100")
    return int(text)


def _choice(text: str) -> bool:
    if text not in ("true", "false", "1", "0"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text in ("true", "1")


_KINDS: Mapping[object, tuple[str, Callable[[str], object]]] = {
    float | None: (_SECONDS, _seconds),
    int | None: ("COUNT", _count),
    bool: ("true|false", _choice),
    str: ("TEXT", str),
}
"""How values are called and read, by the type of their field."""


class Misbehaving(Protocol):
    """What the properties work on."""

    faults: Faults

    def lose_network(self, seconds: float) -> None:
        """Refuse all connections for so long."""
        ...

    def hang(self, seconds: float) -> None:
        """Answer nothing for so long."""
        ...


def forms() -> Mapping[str, str]:
    """What can be set, and the form of its value: `{"offline": "SECONDS", "encoder_fails": "true|false", …}`."""
    faults = {name: _KINDS[kind][0] for name, kind in _types().items()}
    return {_OFFLINE: _SECONDS, _HANGS: _SECONDS, **faults}


def set_fault(phone: Misbehaving, name: str, text: str) -> None:
    """Do what the property `name` (with its prefix) says by the value `text`.

    Raises ValueError, which says what is allowed, for a fault that there is not and for a value that it cannot have.
    """
    fault = name.removeprefix(PREFIX)
    if fault not in forms():
        raise ValueError(f"there is no fault {fault!r}; there are {', '.join(forms())}")
    if fault not in (_OFFLINE, _HANGS):
        kind = _types()[fault]
        setattr(phone.faults, fault, _KINDS[kind][1](text) if text else getattr(Faults(), fault))
    elif text:
        (phone.lose_network if fault == _OFFLINE else phone.hang)(_seconds(text))


def fault_properties(faults: Faults) -> Mapping[str, str]:
    """The properties of the faults that the phone has now."""
    properties = {}
    for name in _types():
        value = getattr(faults, name)
        if value is not None and value is not False and value != "":
            properties[PREFIX + name] = "true" if value is True else str(value)
    return properties


def _types() -> Mapping[str, object]:
    hints = get_type_hints(Faults)
    return {each.name: hints[each.name] for each in fields(Faults) if each.init}
