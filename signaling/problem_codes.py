"""Every `code` that a problem of the HTTP API can have: its status, and what it means. They are stable."""

PROBLEM_CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "the request is not HTTP as this route takes it"),
    "malformed_message": (400, "the body is not the JSON that is asked for; the text names the field"),
    "malformed_sdp": (400, "a description or a candidate cannot be read"),
    "unauthorized": (
        401,
        "no token, or one that is not taken; the code says more, as `token_expired`",
    ),
    "forbidden": (403, "the token, the page's origin or the host name does not allow it"),
    "not_found": (404, "there is no such route"),
    "device_not_found": (404, "there is no such device, or the caller may not know of it"),
    "session_not_found": (404, "there is no such session, or it is somebody else's"),
    "no_common_codec": (406, "the browser takes nothing that the device can be shown in"),
    "wrong_state": (409, "the session does not take that now"),
    "precondition_failed": (412, "`If-Match` is not the ETag of the ICE session there is now"),
    "body_too_large": (413, "the body is larger than 128 KiB"),
    "unsupported_media_type": (415, "the body has another `Content-Type`"),
    "precondition_required": (428, "`If-Match` is missing"),
    "too_many_requests": (429, "this user has or does as much as one may"),
    "device_unavailable": (
        503,
        "it does not answer or shows no picture; the code says more, as `adb_timeout`",
    ),
    "too_many_viewers": (503, "as many viewers watch as may"),
    "too_many_tickets": (503, "too many tickets wait to be used"),
    "keys_unavailable": (503, "the keys that tokens are verified with cannot be fetched"),
    "draining": (503, "the service is about to stop"),
}
"""By code. Devices and tokens have more of them, named where they are raised, under the same statuses."""

OPENING = (
    "malformed_sdp",
    "forbidden",
    "device_not_found",
    "no_common_codec",
    "too_many_requests",
    "device_unavailable",
    "too_many_viewers",
    "draining",
)
"""Why a session may not be opened."""
