"""What a service, or what is none, says about its devices."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from media_service.device_listing import ListedDevice, NoListing, as_json, as_table, ask_service

PHONE = ListedDevice(device_id="lab", serial="10.0.0.5:5555", model="Pixel", state="online", reason="")


@asynccontextmanager
async def saying(text: str, status: int = 200) -> AsyncIterator[str]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    application = web.Application()
    application.router.add_get("/api/media/devices", answer)
    async with TestServer(application) as server:
        yield str(server.make_url("/"))


async def test_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy of the environment is not asked for what is on this machine.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    listed = {"deviceId": "lab", "model": "Pixel", "state": "online", "reason": "", "width": 720, "later": "field"}
    async with saying(json.dumps({"devices": [listed], "total": 1})) as url:
        (device,) = await asyncio.to_thread(ask_service, url)
    assert (device.device_id, device.width, device.capture_mode) == ("lab", 720, None)


@pytest.mark.parametrize("text", ["", "<html>", "[]", "{}", '{"devices": [{}]}', '{"devices": [{"deviceId": 5}]}'])
async def test_what_is_no_service(text: str) -> None:
    async with saying(text) as url:
        with pytest.raises(NoListing, match=f"what answers at {url} is not media-service"):
            await asyncio.to_thread(ask_service, url)


async def test_a_refusal() -> None:
    async with saying("no", 401) as url:
        with pytest.raises(NoListing, match="answers with 401 Unauthorized"):
            await asyncio.to_thread(ask_service, url)


async def test_what_speaks_no_http() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NoListing, match=r"broke off|no service answers"):
            await asyncio.to_thread(ask_service, f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("url", ["", "127.0.0.1:30006", "ftp://host", "http://", "http://host/path", "http://a b"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(NoListing, match="is not the address of a service: it is like http"):
        ask_service(url)


def test_columns_with_nothing_in_them_are_left_out() -> None:
    away = ListedDevice(device_id="10.0.0.6:5555", serial="10.0.0.6:5555", model="", state="lost", reason="gone")
    assert as_table([PHONE, away]) == (
        "DEVICE         SERIAL         STATE   MODEL  WHY\n"
        "lab            10.0.0.5:5555  online  Pixel\n"
        "10.0.0.6:5555                 lost           gone"
    )


def test_as_json_it_is_what_the_api_says() -> None:
    (device,) = json.loads(as_json([PHONE]))
    assert ListedDevice.model_validate(device) == PHONE
    assert device["captureMode"] is None


@given(st.text(min_size=1), st.text())
def test_no_word_of_a_phone_moves_the_cursor(model: str, reason: str) -> None:
    table = as_table([PHONE.model_copy(update={"model": model, "reason": reason})])
    assert len(table.split("\n")) == 2
    assert table.replace("\n", "").isprintable()
