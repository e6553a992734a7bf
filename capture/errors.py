"""What can go wrong between us and a phone.

    CaptureError
     ├── UnknownScheme          a source URI whose scheme nobody registered
     ├── InvalidSource      a source URI that asks for what there is not, as a size of 0x0
     ├── SourceEnded            a source that cannot go on (the file vanished, the phone is gone)
     ├── InputRejected          an input event that this device cannot take
     ├── DockerUnavailable      no Docker engine answers, or what answers makes no sense
     └── AdbError
          ├── AdbUnavailable    no adb binary, or no adb server and none could be started
          ├── AdbTimeout        no answer within the configured time
          ├── AdbProtocolError  the server's bytes are not the adb protocol
          ├── DeviceNotFound    the server does not know the serial
          ├── DeviceOffline     known, but offline, unauthorized or still authorizing
          └── CommandFailed     a shell command's exit code was not zero

Each carries `code`, a stable name that API answers and metrics use.
"""

from typing import ClassVar


class CaptureError(Exception):
    """Base of everything this package raises on purpose."""

    code: ClassVar[str] = "capture_error"


class UnknownScheme(CaptureError):
    code = "unknown_scheme"


class InvalidSource(CaptureError):
    code = "invalid_source"


class SourceEnded(CaptureError):
    code = "source_ended"


class InputRejected(CaptureError):
    code = "input_rejected"


class DockerUnavailable(CaptureError):
    code = "docker_unavailable"


class AdbError(CaptureError):
    code = "adb_error"


class AdbUnavailable(AdbError):
    code = "adb_unavailable"


class AdbTimeout(AdbError):
    code = "adb_timeout"


class AdbProtocolError(AdbError):
    code = "adb_protocol_error"


class DeviceNotFound(AdbError):
    code = "device_not_found"


class DeviceOffline(AdbError):
    code = "device_offline"


class CommandFailed(AdbError):
    """A shell command that ended with a non-zero exit code."""

    code = "command_failed"

    def __init__(self, command: str, exit_code: int, stderr: str) -> None:
        super().__init__(f"{command!r} ended with exit code {exit_code}: {stderr.strip() or 'no message'}")
        self.command = command
        self.exit_code = exit_code
        self.stderr = stderr
