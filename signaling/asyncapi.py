"""The AsyncAPI 3.0 document of the control WebSocket and of the data channel, `GET /api/media/asyncapi.json`.

Made from `signaling.browser_schemas` and `signaling.server_schemas`; tests hold these against the code.
"""

import json
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aiohttp import web

from signaling.browser_schemas import CHOICE_MESSAGES, INPUT_MESSAGES, SOCKET_MESSAGES, STATS_REQUEST
from signaling.message_description import MessageDescription
from signaling.server_schemas import SERVER_MESSAGES

PATH = "/api/media/asyncapi.json"

Node = dict[str, Any]

_DESCRIPTION = """\
What is said beside the media: on the WebSocket `/api/media/ws`, one JSON message per text frame, and on each session's
data channel `control`. A message may have an `id`, which its reply repeats. One that cannot be done is answered by an
`error` with a stable `code`. Null counts as missing, and fields that are not named here mean nothing.

A WebSocket has at most 64 sessions. Those that it opened end with it; those that it joined by their `sessionId` go on.
It takes 1000 input messages and 50 others per second (1000 of these at once); beyond that they are answered by
`too_many_requests`, and who goes on nevertheless is closed with 1008, as after 20 malformed messages in a row. A frame
of more than 512 KiB closes it with 1009, the end of the service with 1001.

A token is looked at when the WebSocket is opened. When it expires, the WebSocket and its sessions go on, and another
session is refused with `token_expired`.
"""

_PUSHED = ("sessionState", "deviceState", "streamState", "stats", "inputAck", "error")
_TOLD_ON_CONTROL = ("sessionState", "deviceState", "streamState", "stats", "inputAck", "clipboardText", "error")

SOCKET = (*SOCKET_MESSAGES, *INPUT_MESSAGES, *CHOICE_MESSAGES)
"""What the WebSocket takes."""

CONTROL = (*INPUT_MESSAGES, *CHOICE_MESSAGES, STATS_REQUEST)
"""What the data channel takes."""


def document() -> Node:
    """The document."""
    ours = {described.name: described for described in SERVER_MESSAGES}
    every = [*SOCKET, STATS_REQUEST, *SERVER_MESSAGES]
    on_control = [ours[name] for name in _TOLD_ON_CONTROL]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "media-service",
            "version": _version(),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "service": {
                "host": "{host}",
                "protocol": "wss",
                "description": "The service; `ws` where no proxy ends TLS before it.",
                "variables": {"host": {"default": "localhost:30006"}},
                "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in ("bearer", "ticket")],
            },
            "session": {
                "host": "{session}",
                "protocol": "webrtc",
                "description": "The peer connection of one session; who has it needs no further token.",
                "variables": {"session": {"description": "As SDP and ICE have found it.", "default": "peer"}},
            },
        },
        "channels": {
            "websocket": {
                "address": "/api/media/ws",
                "title": "The control WebSocket",
                "servers": [{"$ref": "#/servers/service"}],
                "messages": _named([*SOCKET, *SERVER_MESSAGES]),
                "bindings": {"ws": {"method": "GET"}},
            },
            "control": {
                "address": "control",
                "title": "The data channel of that label, which the browser opens",
                "servers": [{"$ref": "#/servers/session"}],
                "messages": _named([*CONTROL, *on_control]),
            },
        },
        "operations": {
            **{described.name: _receives("websocket", described) for described in SOCKET},
            **{f"{described.name}OnControl": _receives("control", described) for described in CONTROL},
            **{f"push{name[0].upper()}{name[1:]}": _sends("websocket", name) for name in _PUSHED},
            **{
                f"push{name[0].upper()}{name[1:]}OnControl": _sends("control", name)
                for name in ("sessionState", "deviceState", "streamState", "error")
            },
        },
        "components": {
            "messages": {described.name: _message(described) for described in every},
            "schemas": {described.name: described.schema for described in every},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "In `Authorization`, or as the subprotocols `bearer` and the token.",
                },
                "ticket": {
                    "type": "httpApiKey",
                    "in": "query",
                    "name": "ticket",
                    "description": "Opens one WebSocket, once: see `POST /api/media/tickets` in the OpenAPI document.",
                },
            },
        },
    }


def add_routes(app: web.Application) -> None:
    """Add the route of the document."""
    text = json.dumps(document())

    async def asyncapi(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json", headers={"Cache-Control": "no-cache"})

    app.router.add_get(PATH, asyncapi)


def _message(described: MessageDescription) -> Node:
    return {
        "name": described.name,
        "summary": described.summary,
        "payload": {"$ref": f"#/components/schemas/{described.name}"},
        "examples": [{"payload": dict(example)} for example in described.examples],
        **(
            {"correlationId": {"location": "$message.payload#/id", "description": "The reply repeats it."}}
            if "id" in described.schema["properties"]
            else {}
        ),
    }


def _named(descriptions: Iterable[MessageDescription]) -> Node:
    return {each.name: {"$ref": f"#/components/messages/{each.name}"} for each in descriptions}


def _receives(channel: str, described: MessageDescription) -> Node:
    """The service takes a message; on the data channel nobody is told that it was done."""
    names = (*described.replies, "error")
    if channel == "control":
        names = tuple(name for name in names if name not in ("ok", "pong"))
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": described.summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{described.name}"}],
        "reply": {
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
        },
    }


def _sends(channel: str, name: str) -> Node:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"}],
    }


def _version() -> str:
    try:
        return version("media-service")
    except PackageNotFoundError:
        return "0"
