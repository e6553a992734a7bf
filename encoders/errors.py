"""What can go wrong with coded video.

    CodedVideoError
     ├── BitstreamError    bytes that are not the H.264 they should be (also a ValueError)
     └── EncoderError      an encoder that cannot do what was asked of it
          └── EncoderUnavailable    the encoder that was asked for does not work on this machine

Nothing else is raised for what came from outside.
"""


class CodedVideoError(Exception):
    """Base of everything this package raises on purpose."""


class BitstreamError(CodedVideoError, ValueError):
    """The other side's bytes are not valid H.264."""


class EncoderError(CodedVideoError):
    """An encoder was asked for the impossible, or failed."""


class EncoderUnavailable(EncoderError):
    """The encoder that was asked for does not work on this machine; the text says why and what else there is."""
