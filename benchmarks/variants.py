"""Ways in which the service may meet a bad network, to be measured side by side. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Variant:
    """How the service is run."""

    name: str
    program: Sequence[str]
    """The module that is run, and its arguments."""
    environment: Mapping[str, str] = field(default_factory=dict)


_ESTIMATING: Final = "benchmarks.estimating_service"

VARIANTS: Final = {
    variant.name: variant
    for variant in (
        Variant("adaptive", ("media_service", "run")),
        Variant("plain", (_ESTIMATING, "none"), {"VIDEO_ENCODER_TYPE": "passthrough"}),
        Variant("gcc", (_ESTIMATING, "gcc")),
        Variant("remb", (_ESTIMATING, "remb")),
    )
}
"""`adaptive` is the service as it is, `plain` passes all through at once; the others differ in how paths are estimated.
"""

DEFAULT: Final = ("adaptive", "plain", "remb")
