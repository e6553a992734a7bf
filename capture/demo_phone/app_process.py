"""`app_process`: runs a Java program; the demo phone knows one, scrcpy's server."""

from capture.demo_phone.files import StorageError
from capture.demo_phone.scrcpy.jar import jar_version
from capture.demo_phone.scrcpy.server import CLASS_NAME, run_server
from capture.demo_phone.scrcpy.version import ServerVersion
from capture.demo_phone.shell import Invocation

_ABORTED = 134
"""What the shell says of a program that SIGABRT ended."""

_USAGE = "Usage: app_process [java-options] parent-dir start-class-name [options]"


async def app_process(invocation: Invocation) -> int:
    """`CLASSPATH=FILE app_process [JAVA-OPTIONS] FOLDER CLASS …`."""
    words = list(invocation.arguments)
    while words and words[0].startswith("-"):
        words.pop(0)
    if len(words) < 2:
        await invocation.complain(f"Error: no class name or --zygote supplied.\n{_USAGE}")
        return _ABORTED
    _, class_name, *arguments = words
    # By convention scrcpy's file is the first of the class path.
    path = invocation.environment.get("CLASSPATH", "").partition(":")[0]
    try:
        version = jar_version(invocation.phone.files.read(path))
    except StorageError:
        version = None
    if version is None or class_name != CLASS_NAME:
        # The reason, a ClassNotFoundException, goes to Android's log only.
        await invocation.complain("Aborted ")
        return _ABORTED
    return await run_server(invocation, path, ServerVersion(version), tuple(arguments))
