"""Commands about files and text: `cat`, `ls`, `rm`, `sha256sum`, `echo`."""

import hashlib

from capture.demo_phone.files import File, StorageError
from capture.demo_phone.shell import Invocation

_FAILED = 1


async def cat(invocation: Invocation) -> int:
    """`cat [FILE…]`; without a file, or for `-`, standard input."""
    code = 0
    for path in invocation.arguments or ("-",):
        if path == "-":
            while data := await invocation.stdio.read():
                await invocation.stdio.write(data)
            continue
        try:
            await invocation.stdio.write(invocation.phone.files.read(path))
        except StorageError as error:
            await invocation.complain(f"cat: {path}: {error}")
            code = _FAILED
    return code


async def ls(invocation: Invocation) -> int:
    """`ls [-l] [PATH…]`."""
    paths = [argument for argument in invocation.arguments if not argument.startswith("-")] or ["/"]
    long = any("l" in argument for argument in invocation.arguments if argument.startswith("-"))
    code = 0
    for path in paths:
        file = invocation.phone.files.find(path)
        if file is None:
            await invocation.complain(f"ls: {path}: No such file or directory")
            code = _FAILED
            continue
        for name, entry in invocation.phone.files.list(path) if file.is_folder else [(path, file)]:
            await invocation.print(_long_entry(name, entry) if long else name)
    return code


async def rm(invocation: Invocation) -> int:
    """`rm [-rf] PATH…`."""
    options = "".join(argument[1:] for argument in invocation.arguments if argument.startswith("-"))
    code = 0
    for path in (argument for argument in invocation.arguments if not argument.startswith("-")):
        try:
            if "r" in options:
                invocation.phone.files.remove_tree(path)
            else:
                invocation.phone.files.remove(path)
        except StorageError as error:
            if "f" not in options:
                await invocation.complain(f"rm: {path}: {error}")
                code = _FAILED
    return code


async def sha256sum(invocation: Invocation) -> int:
    """`sha256sum FILE…`."""
    code = 0
    for path in invocation.arguments:
        try:
            digest = hashlib.sha256(invocation.phone.files.read(path)).hexdigest()
        except StorageError as error:
            await invocation.complain(f"sha256sum: {path}: {error}")
            code = _FAILED
        else:
            await invocation.print(f"{digest}  {path}")
    return code


async def echo(invocation: Invocation) -> int:
    """`echo [-n] WORD…`."""
    words = list(invocation.arguments)
    if words[:1] == ["-n"]:
        await invocation.stdio.write(" ".join(words[1:]).encode(errors="surrogateescape"))
    else:
        await invocation.print(" ".join(words))
    return 0


def _long_entry(name: str, file: File) -> str:
    kind = "drwxrwx--x" if file.is_folder else "-rw-rw----"
    return f"{kind} 1 shell shell {len(file.data):10} {file.modified} {name}"
