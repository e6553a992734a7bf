"""adb: the program, the server, and each phone that it knows or should."""

import asyncio
import re
import subprocess
from collections.abc import Sequence

from capture.adb.client import AdbClient
from capture.adb.server import AdbBinary, find_adb
from capture.adb.wire import AdbDevice
from capture.errors import AdbError, AdbUnavailable
from media_service.diagnosis.finding import Finding, info, ok, problem, warning
from media_service.diagnosis.reason import reason
from media_service.settings import Settings

AREA = "adb and phones"

_TIMEOUT = 3.0
_PROGRAM_TIMEOUT = 10.0

_REMEDIES = {
    "unauthorized": "unlock the phone and confirm that this computer may debug it",
    "authorizing": "unlock the phone and confirm that this computer may debug it",
    "offline": "plug it in anew, or restart its adbd: adb -s SERIAL reconnect",
    "connecting": "wait a moment and look again",
    "recovery": "start Android on it: adb -s SERIAL reboot",
    "sideload": "start Android on it: adb -s SERIAL reboot",
    "bootloader": "start Android on it",
    "no": "let the user that runs adb open the USB device: the package android-sdk-platform-tools-common has the rules",
}


async def check(settings: Settings) -> Sequence[Finding]:
    """Starts no adb server: the service does that when it runs."""
    where = f"127.0.0.1:{settings.android_adb_server_port}"
    client = AdbClient(port=settings.android_adb_server_port, connect_timeout=_TIMEOUT, command_timeout=_TIMEOUT)
    findings: list[Finding] = []
    try:
        binary = find_adb(settings.adb_path)
    except AdbUnavailable as error:
        findings.append(_unusable(settings, str(error)))
    else:
        findings.append(await asyncio.to_thread(_program, settings, binary))
    try:
        protocol = await client.version()
        known = await client.devices()
    except AdbUnavailable:
        findings.append(info(AREA, f"no adb server at {where}; the service starts one"))
        known = ()
    except AdbError as error:
        text = f"what listens at {where} is no adb server: {error}"
        return [*findings, problem(AREA, text, "stop it, or set ANDROID_ADB_SERVER_PORT to another port")]
    else:
        findings.append(ok(AREA, f"an adb server at {where}, protocol {protocol}"))
    findings += [_phone(device) for device in known]
    serials = {device.serial for device in known}
    wanted = dict.fromkeys(entry.serial for entry in settings.adb_devices)
    findings += await asyncio.gather(*(_not_connected(serial) for serial in wanted if serial not in serials))
    return findings


def _program(settings: Settings, binary: AdbBinary) -> Finding:
    try:
        done = subprocess.run(
            [str(binary.path), "version"],
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=_PROGRAM_TIMEOUT,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return _unusable(settings, f"{binary} cannot be run: {reason(error)}")
    version = re.search(r"^Version (\S+)", done.stdout, re.MULTILINE) or re.search(r"version (\S+)", done.stdout)
    if version is None:
        return _unusable(settings, f"{binary} is no adb: it says {done.stdout[:100]!r}")
    return ok(AREA, f"{binary}, version {version[1]}")


def _unusable(settings: Settings, text: str) -> Finding:
    remedy = "set ADB_PATH to an adb program, or unset it to use the one that is installed with media-service"
    return problem(AREA, text, remedy) if settings.adb_devices else warning(AREA, text, remedy)


def _phone(device: AdbDevice) -> Finding:
    named = f"{device.serial} ({device.model})" if device.model else device.serial
    if device.is_ready:
        return ok(AREA, f"{named} is online")
    remedy = _REMEDIES.get(device.state.split()[0] if device.state else "", "see what the phone shows")
    return warning(AREA, f"{named} is {device.state}", remedy.replace("SERIAL", device.serial))


async def _not_connected(serial: str) -> Finding:
    """A phone of ADB_DEVICES that no adb server knows yet."""
    host, _, port = serial.rpartition(":")
    try:
        async with asyncio.timeout(_TIMEOUT):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError:
        trouble = "does not answer"
    except (OSError, ValueError) as error:
        trouble = f"cannot be reached ({reason(error)})"
    else:
        writer.close()
        return ok(AREA, f"{serial} listens; adb connects to it when the service runs")
    return warning(
        AREA,
        f"{serial} of ADB_DEVICES {trouble}",
        f"see whether it is on and lets adb in by network (adb tcpip {port}), and that no firewall is between",
    )
