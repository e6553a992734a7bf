"""`GET /ws/device/{deviceId}`: a WebSocket that shows one device, as some older front-ends speak it.

    from the browser                          from us
    start-stream                              offer {sessionId, sdp}
    answer {sdp}
    ice-candidate {candidate: {…} | null}
    stop-stream

Everything else is as on `GET /api/media/ws` (`signaling.connection`), with no need to name the device: input, pings, a
reply to each `id`, errors and the pushed states. A candidate of ours never comes, since our offer has all of them. A
second start-stream begins anew; the session ends with the socket.
"""

import json
from collections import deque

from aiohttp import WSMessage, WSMsgType, web

from signaling import websocket
from signaling.guard import caller_of
from signaling.operations import Answer, Operation, Tag, add_route, operation
from signaling.service import Service

PATH = "/ws/device/{device_id}"


def add_routes(app: web.Application, service: Service) -> None:
    """Add the WebSocket, beside that of `signaling.websocket`."""
    add_route(app, "GET", PATH, DeviceSockets(service).connect)


class DeviceSocket(web.WebSocketResponse):
    """Gives the messages of the older front-ends as those that a `Connection` takes."""

    def __init__(self, device_id: str) -> None:
        super().__init__(**websocket.OPTIONS)
        self._device_id = device_id
        self._next: deque[WSMessage] = deque()

    async def receive(self, timeout: float | None = None) -> WSMessage:
        if self._next:
            return self._next.popleft()
        frame = await super().receive(timeout)
        if frame.type is WSMsgType.TEXT:
            first, *others = translated(frame.data, self._device_id)
            self._next += [frame._replace(data=text) for text in others]
            return frame._replace(data=first)
        return frame


def translated(text: str, device_id: str) -> list[str]:
    """The messages of `signaling.connection` for one of an older front-end that shows the device."""
    if not any(word in text for word in _TRANSLATED):
        return [text]
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return [text]  # It is refused with the reason, as any other.
    if not isinstance(message, dict):
        return [text]
    if message.get("type") == "start-stream":
        # What was watched before ends; that there is nothing to end is no error.
        return [_leave(device_id), json.dumps({**message, "type": "join", "deviceId": device_id})]
    if message.get("type") == "stop-stream":
        # Without the device's name, as that also ends what is only being opened.
        return [json.dumps({"type": "leave"} | ({"id": message["id"]} if "id" in message else {}))]
    # A device has several names, and here there is only one device.
    return [json.dumps({**message, "deviceId": device_id})]


_TRANSLATED = ("start-stream", "stop-stream", '"deviceId"')


def _leave(device_id: str) -> str:
    return json.dumps({"type": "leave", "deviceId": device_id})


class DeviceSockets:
    """The route."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @operation(
        Operation(
            "connectToDevice",
            "A WebSocket for one device",
            Tag.OTHER_DIALECTS,
            {101: Answer("The WebSocket is open.")},
            ("bad_request", "device_not_found"),
            description="The client sends `start-stream`, is sent an `offer` with all of our candidates, and sends its"
            " `answer`; either side may stop. The other messages are those of `/api/media/ws`.",
            is_socket=True,
        )
    )
    async def connect(self, request: web.Request) -> web.WebSocketResponse:
        device = await self._service.device(request.match_info["device_id"], caller_of(request))
        socket = DeviceSocket(device.device_id)
        await websocket.serve(request, self._service, socket)
        return socket
