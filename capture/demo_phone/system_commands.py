"""Commands about the phone itself: properties, settings, its screen and its packages."""

import re
from io import BytesIO
from struct import Struct

from PIL import Image

from capture.demo_phone import fault_properties
from capture.demo_phone.canvas import Canvas
from capture.demo_phone.files import StorageError
from capture.demo_phone.shell import Invocation
from capture.demo_phone.window_dump import LAUNCHER, VAULT

_FAILED, _THROWN = 1, 255
_ILLEGAL = "java.lang.IllegalArgumentException"
_ANDROID_12 = 31
_SCREENCAP_HEADER = Struct("<4I")  # width, height, format, colour space (frameworks/base cmds/screencap)
_RGBA_8888, _SRGB = 1, 1
_PACKAGES = (LAUNCHER, VAULT)
_NAMESPACES = ("system", "secure", "global")


async def getprop(invocation: Invocation) -> int:
    """`getprop [NAME [DEFAULT]]`."""
    phone = invocation.phone
    properties = {**phone.properties, **fault_properties.fault_properties(phone.faults)}
    match invocation.arguments:
        case ():
            for name in sorted(name for name in properties if properties[name]):
                await invocation.print(f"[{name}]: [{properties[name]}]")
        case (name, *default):
            await invocation.print(properties.get(name) or (default[0] if default else ""))
    return 0


async def setprop(invocation: Invocation) -> int:
    """`setprop NAME VALUE`; read-only properties stay, and `demo.fault.NAME` brings about a fault."""
    if len(invocation.arguments) != 2:
        await invocation.complain("setprop: Need 2 arguments")
        return _FAILED
    name, value = invocation.arguments
    if name.startswith("ro.") and name in invocation.phone.properties:
        await invocation.complain(f"Failed to set property '{name}' to '{value}'.\nSee dmesg for error reason.")
        return _FAILED
    if name.startswith(fault_properties.PREFIX):
        try:
            fault_properties.set_fault(invocation.phone, name, value)
        except ValueError as error:
            await invocation.complain(f"Failed to set property '{name}' to '{value}': {error}.")
            return _FAILED
        return 0
    invocation.phone.properties[name] = value
    return 0


async def wm(invocation: Invocation) -> int:
    """`wm size [reset | WxH]`, `wm density`, `wm user-rotation [free | lock [ROTATION]]`."""
    phone = invocation.phone
    # Android 12 gave the command its name; before, it could only be set.
    rotation = "user-rotation" if phone.spec.sdk >= _ANDROID_12 else "set-user-rotation"
    match invocation.arguments:
        case ("size",):
            await invocation.print(f"Physical size: {phone.spec.width}x{phone.spec.height}")
            if phone.override_size is not None:
                await invocation.print("Override size: {}x{}".format(*phone.override_size))
        case ("size", "reset"):
            phone.reset_size()
        case ("size", size) if match := re.fullmatch(r"(\d{1,5})x(\d{1,5})", size, re.ASCII):
            phone.resize(int(match[1]), int(match[2]))
        case ("size", size):
            await invocation.complain(f"Error: bad size {size}")
            return _THROWN
        case ("density",):
            await invocation.print(f"Physical density: {phone.density}")
        case ("user-rotation",) if rotation == "user-rotation":
            await invocation.print(f"lock {phone.rotation}" if phone.is_rotation_locked else "free")
        case (name, "free") if name == rotation:
            phone.put_setting("system", "accelerometer_rotation", "1")
        case (name, "lock") if name == rotation:
            phone.rotate(phone.rotation)
        case (name, "lock", "0" | "1" | "2" | "3" as quarter) if name == rotation:
            phone.rotate(int(quarter))
        case (name, "lock", quarter) if name == rotation:
            await invocation.complain("Error: rotation argument needs to be an integer between 0-3.")
            return _THROWN
        case ():
            await invocation.print("Window manager (window) commands:\n  size [reset|WxH]\n  density")
            await invocation.print(f"  {rotation} [free|lock] [rotation]")
            return _THROWN
        case (unknown, *_):
            await invocation.complain(f"Unknown command: {unknown}")
            return _THROWN
    return 0


async def settings(invocation: Invocation) -> int:
    """`settings get|put|delete NAMESPACE KEY [VALUE]`, `settings list NAMESPACE`."""
    phone = invocation.phone
    match invocation.arguments:
        case ("get", namespace, key) if namespace in _NAMESPACES:
            await invocation.print(phone.settings.get((namespace, key), "null"))
        case ("put", namespace, key, value) if namespace in _NAMESPACES:
            try:
                phone.put_setting(namespace, key, value)
            except ValueError as error:
                await invocation.complain(f"\nException occurred while executing 'put':\n{_ILLEGAL}: {error}")
                return _THROWN
        case ("delete", namespace, key) if namespace in _NAMESPACES:
            await invocation.print(f"Deleted {int(phone.delete_setting(namespace, key))} rows")
        case ("list", namespace) if namespace in _NAMESPACES:
            for (owner, key), value in sorted(phone.settings.items()):
                if owner == namespace:
                    await invocation.print(f"{key}={value}")
        case _:
            await invocation.complain(f"Invalid command: {' '.join(invocation.arguments) or 'no arguments specified'}")
            return _THROWN
    return 0


async def screencap(invocation: Invocation) -> int:
    """`screencap [-p] [FILE]`: PNG with `-p` or where the file's name says so, else a header and RGBA."""
    phone = invocation.phone
    names = [argument for argument in invocation.arguments if not argument.startswith("-")]
    unknown = [word for word in invocation.arguments if word.startswith("-") and word not in ("-p", "-d", "-h")]
    if unknown or "-h" in invocation.arguments or len(names) > 1:
        await invocation.complain("usage: screencap [-hp] [-d display-id] [FILENAME]")
        return _FAILED
    frame = phone.display.snapshot().frame
    # Recorders may have the frame in other threads, and a conversion is for one thread at a time.
    image = Image.fromarray(Canvas.over(frame, frame.height).to_frame().to_ndarray(format="rgb24"))
    as_png = "-p" in invocation.arguments or (names and names[0].endswith(".png"))
    data = _png(image) if as_png else _raw(image)
    if not names:
        await invocation.stdio.write(data)
        return 0
    try:
        phone.files.write(names[0], data, 0o660, phone.wall_time())
    except StorageError as error:
        await invocation.complain(f"Error opening file: {names[0]} ({error})")
        return _FAILED
    return 0


async def pm(invocation: Invocation) -> int:
    """`pm list packages`, `pm path PACKAGE`: a launcher, and an app that may not be captured."""
    match invocation.arguments:
        case ("list", "packages", *_):
            for package in _PACKAGES:
                await invocation.print(f"package:{package}")
        case ("path", package) if package in _PACKAGES:
            name = package.rpartition(".")[2].capitalize()
            await invocation.print(f"package:/system/app/{name}/{name}.apk")
        case ("path", _):
            return _FAILED
        case arguments:
            await invocation.complain(f"Unknown command: {' '.join(arguments)}")
            return _THROWN
    return 0


async def am(invocation: Invocation) -> int:
    """`am start`, `am force-stop`, `am broadcast`: answered; only the app that may not be captured really starts."""
    match invocation.arguments:
        case ("start", *words):
            await invocation.print(f"Starting: Intent {{ {' '.join(words)} }}")
            if any(word.startswith(f"{VAULT}/") for word in words):
                invocation.phone.is_secure = True
        case ("broadcast", *words):
            await invocation.print(f"Broadcasting: Intent {{ {' '.join(words)} }}\nBroadcast completed: result=0")
        case ("force-stop", package):
            if package == VAULT:
                invocation.phone.is_secure = False
        case arguments:
            await invocation.complain(f"Unknown command: {' '.join(arguments)}")
            return _THROWN
    return 0


async def whoami(invocation: Invocation) -> int:
    """`id`."""
    await invocation.print("uid=2000(shell) gid=2000(shell) groups=2000(shell),1004(input) context=u:r:shell:s0")
    return 0


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _raw(image: Image.Image) -> bytes:
    return _SCREENCAP_HEADER.pack(image.width, image.height, _RGBA_8888, _SRGB) + image.convert("RGBA").tobytes()
