"""Commands about the phone itself: properties, settings, its screen and its packages."""

from io import BytesIO
from struct import Struct

from PIL import Image

from capture.demo_phone.files import StorageError
from capture.demo_phone.shell import Invocation

_FAILED, _THROWN = 1, 255
_SCREENCAP_HEADER = Struct("<4I")  # width, height, format, colour space (frameworks/base cmds/screencap)
_RGBA_8888, _SRGB = 1, 1
_LAUNCHER = "com.demo.launcher"
_NAMESPACES = ("system", "secure", "global")


async def getprop(invocation: Invocation) -> int:
    """`getprop [NAME [DEFAULT]]`."""
    properties = invocation.phone.properties
    match invocation.arguments:
        case ():
            for name in sorted(properties):
                await invocation.print(f"[{name}]: [{properties[name]}]")
        case (name, *default):
            await invocation.print(properties.get(name, default[0] if default else ""))
    return 0


async def setprop(invocation: Invocation) -> int:
    """`setprop NAME VALUE`; read-only properties stay."""
    if len(invocation.arguments) != 2:
        await invocation.complain("setprop: Need 2 arguments")
        return _FAILED
    name, value = invocation.arguments
    if name.startswith("ro.") and name in invocation.phone.properties:
        await invocation.complain(f"Failed to set property '{name}' to '{value}'.\nSee dmesg for error reason.")
        return _FAILED
    invocation.phone.properties[name] = value
    return 0


async def wm(invocation: Invocation) -> int:
    """`wm size`, `wm density`."""
    phone = invocation.phone
    match invocation.arguments:
        case ("size",):
            await invocation.print(f"Physical size: {phone.spec.width}x{phone.spec.height}")
        case ("density",):
            await invocation.print(f"Physical density: {phone.density}")
        case arguments:
            await invocation.complain(f"The demo phone can only tell size and density: not {' '.join(arguments)!r}")
            return _THROWN
    return 0


async def settings(invocation: Invocation) -> int:
    """`settings get|put|delete NAMESPACE KEY [VALUE]`, `settings list NAMESPACE`."""
    known = invocation.phone.settings
    match invocation.arguments:
        case ("get", namespace, key) if namespace in _NAMESPACES:
            await invocation.print(known.get((namespace, key), "null"))
        case ("put", namespace, key, value) if namespace in _NAMESPACES:
            known[namespace, key] = value
        case ("delete", namespace, key) if namespace in _NAMESPACES:
            deleted = known.pop((namespace, key), None)
            await invocation.print(f"Deleted {int(deleted is not None)} rows")
        case ("list", namespace) if namespace in _NAMESPACES:
            for (owner, key), value in sorted(known.items()):
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
    image = Image.fromarray(phone.display.snapshot().frame.to_ndarray(format="rgb24"))
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
    """`pm list packages`, `pm path PACKAGE`: a launcher is all there is."""
    match invocation.arguments:
        case ("list", "packages", *_):
            await invocation.print(f"package:{_LAUNCHER}")
        case ("path", package) if package == _LAUNCHER:
            await invocation.print("package:/system/app/Launcher/Launcher.apk")
        case ("path", _):
            return _FAILED
        case arguments:
            await invocation.complain(f"Unknown command: {' '.join(arguments)}")
            return _THROWN
    return 0


async def am(invocation: Invocation) -> int:
    """`am start`, `am force-stop`, `am broadcast`: answered, without effect."""
    match invocation.arguments:
        case ("start", *words):
            await invocation.print(f"Starting: Intent {{ {' '.join(words)} }}")
        case ("broadcast", *words):
            await invocation.print(f"Broadcasting: Intent {{ {' '.join(words)} }}\nBroadcast completed: result=0")
        case ("force-stop", _):
            pass
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
