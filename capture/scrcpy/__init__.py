"""Speaking to scrcpy's own server, versions 3 and 4, as it is released.

    ScrcpyServer          the jar: put on the device, started there
    VideoParser           bytes > the phone's pictures with their times; AudioParser and DeviceMessageParser likewise
    DeviceClock           the phone's times > ours
    open_scrcpy           all of it together, as a `capture.source.Source`
    ScrcpyController      touches, keys and text over the same server

scrcpy calls its protocol internal: each version has its own, and the server takes no client of another version
(`version`). Facts are from its sources, doc/develop.md and the Java classes that the docstrings name.
"""

from capture.scrcpy.server import ScrcpyServer
from capture.scrcpy.source import ScrcpySource, open_scrcpy
from capture.scrcpy.version import ScrcpyVersion, parse_version

__all__ = ["ScrcpyServer", "ScrcpySource", "ScrcpyVersion", "open_scrcpy", "parse_version"]
