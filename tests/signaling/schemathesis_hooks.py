"""What schemathesis is told beside the document (`tests.signaling.schemathesis_run`).

Descriptions that can be read, the media types of WHEP, and a device that there is, so that requests get beyond the
first refusal. Half of what is made up stays as it is.
"""

import os
from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.signaling.samples import description

DEVICE = "SCHEMATHESIS_DEVICE"
"""The environment variable that names the device."""

_OFFER = description("chromium_video_data")
_ANSWER = description("offer_high.chromium_answer")
_CANDIDATE = "candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host"
_FRAGMENT = f"m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na={_CANDIDATE}\r\n"

schemathesis.openapi.format("sdp", st.sampled_from([_OFFER, _ANSWER, _OFFER[:700]]) | st.text(min_size=1, max_size=40))
schemathesis.openapi.format("ice-candidate", st.sampled_from(["", _CANDIDATE]) | st.text(max_size=40))
schemathesis.openapi.format("trickle-ice-sdpfrag", st.just(_FRAGMENT) | st.text(max_size=40))


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def text(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Text as it is; what is none, as Python writes it."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.check
def no_server_error(
    context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """No 5xx; but for that of a phone that is away, as those of other tests are that the adb server still lists."""
    is_away = response.status_code == 503 and response.json()["code"] == "device_offline"
    if response.status_code >= 500 and not is_away:
        raise AssertionError(f"Server error {response.status_code}: {response.text[:1000]}")


@schemathesis.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: Any) -> Any:
    """A device that there is, now and then."""
    return _with_device(path_parameters)


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """The same where it stands in the body."""
    return _with_device(body)


def _with_device(values: Any) -> Any:
    if isinstance(values, dict) and isinstance(values.get("deviceId"), str) and len(values["deviceId"]) % 2:
        return {**values, "deviceId": os.environ[DEVICE]}
    return values
