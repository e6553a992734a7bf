"""The codecs of the phone, as `dumpsys media.player` lists them (AOSP MediaPlayerService, dumpCodecDetails)."""

from collections.abc import Sequence
from dataclasses import dataclass

from capture.demo_phone.phone import Phone

_ANDROID_10 = 29
_LARGEST_VIDEO = 4096

_IS_ENCODER, _IS_SOFTWARE_ONLY = 1, 4  # MediaCodecInfo::Attributes


@dataclass(frozen=True, slots=True)
class _Codec:
    media_type: str
    name: str
    former_name: str
    profile: str
    is_encoder: bool


_CODECS = (
    _Codec("audio/opus", "c2.android.opus.decoder", "OMX.google.opus.decoder", "", is_encoder=False),
    _Codec("video/avc", "c2.android.avc.decoder", "OMX.google.h264.decoder", "8/65536 (High/5.2)", is_encoder=False),
    _Codec("audio/opus", "c2.android.opus.encoder", "OMX.google.opus.encoder", "", is_encoder=True),
    _Codec("video/avc", "c2.android.avc.encoder", "OMX.google.h264.encoder", "1/2048 (Baseline/4.1)", is_encoder=True),
)


def dump_codecs(phone: Phone) -> str:
    """`dumpsys media.player`: decoders and encoders by media type. Before Android 10 codecs have their former names."""
    largest = phone.faults.largest_video or _LARGEST_VIDEO
    lines = []
    for is_encoder, kind in ((False, "Decoder"), (True, "Encoder")):
        lines += ["", f"{kind} infos by media types:", "============================="]
        for codec in _CODECS:
            is_missing = phone.faults.no_encoder and codec.is_encoder and codec.media_type == "video/avc"
            if codec.is_encoder == is_encoder and not is_missing:
                lines += _described(codec, kind, largest, has_former_name=phone.spec.sdk < _ANDROID_10)
    return "\n".join(lines)


def _described(codec: _Codec, kind: str, largest: int, *, has_former_name: bool) -> Sequence[str]:
    attributes = _IS_ENCODER * codec.is_encoder | _IS_SOFTWARE_ONLY
    lines = [
        "",
        f"Media type '{codec.media_type}':",
        f'  {kind} "{codec.former_name if has_former_name else codec.name}" supports',
        "    aliases: [ ]" if has_former_name else f'    aliases: [\n      "{codec.former_name}" ]',
        f"    attributes: {attributes:#x}: [",
        f"      encoder: {int(codec.is_encoder)},",
        "      vendor: 0,",
        "      software-only: 1,",
        "      hw-accelerated: 0 ]",
        f"    profile/levels: [\n      {codec.profile} ]" if codec.profile else "    profile/levels: [ ]",
    ]
    if codec.media_type.startswith("video/"):
        lines += ["    details: AMessage(what = 0x00000000) = {"]
        lines += [f'        string size-range = "16x16-{largest}x{largest}"', "      }"]
    return lines
