"""Debian's Firefox, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/).

Playwright drives only a Firefox of its own.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

START_TIMEOUT = 60.0
COMMAND_TIMEOUT = 30.0

_LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")

_PREFERENCES = {
    # A test machine may have no other address.
    "media.peerconnection.ice.loopback": True,
    "media.autoplay.default": 0,
    # It is to ask nobody for anything.
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.url": "data:,",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}

# What Firefox takes for its OpenH264 plugin: https://firefox-source-docs.mozilla.org/media/, "GMP".
_PLUGIN = """Name: gmpopenh264
Description: stands for the download
Version: 1.0
APIs: encode-video[h264], decode-video[h264]
"""


class Firefox:
    """A Firefox with one page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._commands = 0
        self._page = ""

    async def open(self, address: str) -> None:
        """Show the page at `address`."""
        if not self._page:
            await self._command("session.new", {"capabilities": {}})
            self._page = (await self._command("browsingContext.getTree", {}))["contexts"][0]["context"]
        parameters = {"context": self._page, "url": address, "wait": "complete"}
        await self._command("browsingContext.navigate", parameters)

    async def evaluate(self, expression: str) -> Any:
        """What the JavaScript `expression` becomes as JSON. Raises AssertionError when it throws."""
        script = f"(async () => JSON.stringify(await ({expression})) ?? 'null')()"
        parameters = {"expression": script, "target": {"context": self._page}, "awaitPromise": True}
        result = await self._command("script.evaluate", parameters)
        assert result["type"] == "success", result["exceptionDetails"]["text"]
        return json.loads(result["result"]["value"])

    async def _command(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._commands += 1
        await self._socket.send_json({"id": self._commands, "method": method, "params": parameters})
        async with asyncio.timeout(COMMAND_TIMEOUT):
            while (message := await self._socket.receive_json()).get("id") != self._commands:
                pass  # an event
        assert message["type"] == "success", message
        result: dict[str, Any] = message["result"]
        return result


@asynccontextmanager
async def running_firefox(program: str, home: Path, *, has_openh264: bool) -> AsyncIterator[Firefox]:
    """Run `program` with an empty profile in the folder `home`.

    Firefox offers H.264 once it has downloaded Cisco's OpenH264, and decodes with the system's libavcodec where that
    is there. With `has_openh264` it is told that it has the plugin, whose code it then never runs.
    """
    preferences = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _PREFERENCES.items())
    profile = home / "profile"
    profile.mkdir()
    (profile / "user.js").write_text("".join(preferences))
    plugin = home / "gmp-gmpopenh264" / "1.0"
    plugin.mkdir(parents=True)
    (plugin / "gmpopenh264.info").write_text(_PLUGIN)
    (plugin / "libgmpopenh264.so").touch()
    environment = {**os.environ, "HOME": str(home), **({"MOZ_GMP_PATH": str(plugin)} if has_openh264 else {})}
    process = await asyncio.create_subprocess_exec(
        *(program, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        address = await _address(process)
        async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Where it is driven from."""
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(START_TIMEOUT):
        while line := await process.stderr.readline():
            said += line
            if found := _LISTENING.search(line):
                return f"{found[1].decode()}/session"
    raise AssertionError(f"Firefox ended: {said.decode(errors='replace')}")
