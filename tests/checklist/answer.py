"""One HTTP request and its answer."""

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy

OUTSIDE = "203.0.113.9"
"""An address (RFC 5737) that no list of ours names, for a proxy to say that somebody asks from there."""

ELSEWHERE = "127.0.0.2"
"""An address of this machine that nginx's lists do not name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    seconds: float
    """Until all of it was there."""

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def milliseconds(self) -> str:
        return f"{self.seconds * 1000:.0f} ms"


async def ask(
    method: str,
    url: str,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    trusting: ssl.SSLContext | None = None,
    source: str | None = None,
) -> Answer:
    """Ask without following redirects, with `body` as JSON; `source` is the address of ours to ask from."""
    own = dict(headers or {})
    if token is not None:
        own["Authorization"] = f"Bearer {token}"
    connector = aiohttp.TCPConnector(
        ssl=True if trusting is None else trusting, local_addr=None if source is None else (source, 0)
    )
    async with aiohttp.ClientSession(connector=connector) as session:
        begin = time.perf_counter()
        async with session.request(method, url, headers=own, json=body, allow_redirects=False) as response:
            content = await response.read()
            return Answer(response.status, response.headers, content, time.perf_counter() - begin)
