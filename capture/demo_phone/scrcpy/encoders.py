"""The encoders that the phone has, as Android names them and as scrcpy lists them."""

from capture.demo_phone.faults import Faults
from capture.demo_phone.scrcpy.options import AUDIO_CODECS, VIDEO_CODECS

_VIDEO = {"h264": "c2.android.avc.encoder"}
_AUDIO = {"opus": "c2.android.opus.encoder"}
_MIME = {"h264": "avc", "h265": "hevc", "av1": "av01", "aac": "mp4a-latm"}
_COLUMN = 70


def encoder_of(codec: str, faults: Faults) -> str | None:
    """The name of the encoder for a codec; None when the phone has none."""
    is_missing = (codec == "h264" and faults.no_encoder) or (codec == "opus" and faults.no_opus)
    return None if is_missing else (_VIDEO | _AUDIO).get(codec)


def mime_type(codec: str) -> str:
    """What Android calls a codec, as `video/avc`."""
    return f"{'video' if codec in VIDEO_CODECS else 'audio'}/{_MIME.get(codec, codec)}"


def encoder_list(kind: str, faults: Faults) -> str:
    """All encoders for `video` or `audio`, in the lines that scrcpy prints."""
    lines = [f"List of {kind} encoders:"]
    for codec in VIDEO_CODECS if kind == "video" else AUDIO_CODECS:
        if (encoder := encoder_of(codec, faults)) is not None:
            line = f"    --{kind}-codec={codec} --{kind}-encoder={encoder}"
            lines.append(f"{line:{_COLUMN - 1}} (sw)")
    return "\n".join(lines)
