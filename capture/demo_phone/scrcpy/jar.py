"""A small file that stands for scrcpy's server jar where the real one is not wanted: tests, and a first look.

It holds no program. It is a zip archive whose manifest says so and names a version, which is all that the demo phone
reads of it; a real phone finds no class in it and says so.
"""

import io
import re
import zipfile

_MANIFEST = "META-INF/MANIFEST.MF"
_TEXT = """\
Manifest-Version: 1.0
Implementation-Title: stands for scrcpy's server on the demo phone
Implementation-Version: {version}
"""
_VERSION = re.compile(rb"^Implementation-Version: ([0-9A-Za-z._-]+)\r?$", re.MULTILINE)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that zip can say: the same version is always the same bytes


def make_jar(version: str) -> bytes:
    """The file for scrcpy's `version`, as "3.3.4"; always the same bytes. Raises ValueError for no version."""
    if not re.fullmatch(r"\d+(\.\d+)+", version, re.ASCII):
        raise ValueError(f"{version!r} is no version of scrcpy: it must be numbers with dots, as 3.3.4")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as jar:
        jar.writestr(zipfile.ZipInfo(_MANIFEST, _EPOCH), _TEXT.format(version=version))
    return archive.getvalue()


def jar_version(data: bytes) -> str | None:
    """The version that a jar's manifest names; None for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as jar:
            manifest = jar.read(_MANIFEST)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError, OSError, ValueError):
        return None
    match = _VERSION.search(manifest)
    return match[1].decode() if match else None
