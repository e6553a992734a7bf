"""What is said to a client whose request cannot be met.

    SignalingError                code                     HTTP status
     ├── MalformedMessage         malformed_message        400
     ├── MalformedSdp             malformed_sdp            400
     ├── Unauthorized             unauthorized, …          401 with WWW-Authenticate
     ├── Forbidden                forbidden                403
     ├── NoCommonCodec            no_common_codec          406
     ├── NotFound                 device_not_found, …      404
     ├── Conflict                 wrong_state, …           409
     ├── TooMany                  too_many_requests, …     429 with Retry-After
     ├── DeviceUnavailable        device_unavailable, …    503 with Retry-After
     ├── KeysUnavailable          keys_unavailable         503
     └── Full                     too_many_viewers         503 with Retry-After

`code` is stable and documented; the text names the value that was wrong and what is allowed.
"""

from typing import ClassVar


class SignalingError(Exception):
    """Base of every error that a client is told."""

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal_error"

    def __init__(self, detail: str, *, code: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.retry_after = retry_after


class MalformedMessage(SignalingError):
    status = 400
    default_code = "malformed_message"

    message_id: int | None = None
    """The `id` of the message, where that much of it could be read."""


class MalformedSdp(SignalingError):
    status = 400
    default_code = "malformed_sdp"


class Unauthorized(SignalingError):
    """There is no token, or one that is not taken; `code` says which: `token_missing`, `token_expired`, …"""

    status = 401
    default_code = "unauthorized"


class Forbidden(SignalingError):
    status = 403
    default_code = "forbidden"


class NoCommonCodec(SignalingError):
    status = 406
    default_code = "no_common_codec"


class NotFound(SignalingError):
    status = 404
    default_code = "not_found"


class Conflict(SignalingError):
    status = 409
    default_code = "wrong_state"


class TooMany(SignalingError):
    """This caller has as much as one may have; another one would be served."""

    status = 429
    default_code = "too_many_requests"


class DeviceUnavailable(SignalingError):
    status = 503
    default_code = "device_unavailable"


class KeysUnavailable(SignalingError):
    """The token may be good, but the keys that would prove it cannot be fetched now."""

    status = 503
    default_code = "keys_unavailable"


class Full(SignalingError):
    status = 503
    default_code = "too_many_viewers"
