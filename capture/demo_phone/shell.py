"""The phone's shell: runs command lines, and knows nothing of what the commands do."""

from collections.abc import Awaitable, Callable, Mapping

from capture.demo_phone.files import StorageError
from capture.demo_phone.phone import Phone
from capture.demo_phone.processes import Process
from capture.demo_phone.shell_syntax import Condition, Parameter, Redirection, SimpleCommand, SyntaxProblem, Word, parse
from capture.demo_phone.stdio import Stdio

_NAME = "/system/bin/sh"
_NOT_FOUND, _SYNTAX, _CANNOT_REDIRECT = 127, 1, 1
_LINE_LIMIT = 1 << 20


class Invocation:
    """One run of a command: what it was given."""

    def __init__(self, phone: Phone, process: Process, stdio: Stdio, environment: Mapping[str, str]) -> None:
        self.phone = phone
        self.process = process
        self.stdio = stdio
        self.environment = environment

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words after the command's name."""
        return self.process.arguments[1:]

    async def print(self, text: str) -> None:
        """Write a line to standard output."""
        await self.stdio.write(text.encode(errors="surrogateescape") + b"\n")

    async def complain(self, text: str) -> None:
        """Write a line to standard error."""
        await self.stdio.write_error(text.encode(errors="surrogateescape") + b"\n")

    async def read_all(self) -> bytes:
        """Standard input to its end."""
        data = bytearray()
        while chunk := await self.stdio.read():
            data += chunk
        return bytes(data)


Command = Callable[[Invocation], Awaitable[int]]
"""Runs to the command's end; its exit code."""


class _Exit(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


class Shell:
    """One shell with its variables."""

    def __init__(self, phone: Phone, commands: Mapping[str, Command], stdio: Stdio) -> None:
        """`commands` are the programs of the phone, by name."""
        self._phone = phone
        self._commands = commands
        self._stdio = stdio
        self._variables = {"HOME": "/", "PATH": "/system/bin", "?": "0", "$": "1199"}

    async def run(self, line: str) -> int:
        """Run a command line; the exit code of its last command."""
        try:
            return await self._run(line)
        except _Exit as end:
            return end.code

    async def run_input(self) -> int:
        """Run standard input line by line, as a shell without arguments does."""
        code = 0
        buffer = b""
        try:
            while data := await self._stdio.read():
                *lines, buffer = (buffer + data.replace(b"\r", b"\n")).split(b"\n")
                for line in lines:
                    code = await self._run(line.decode(errors="surrogateescape"))
                if len(buffer) > _LINE_LIMIT:
                    raise _Exit(_SYNTAX)
            return await self._run(buffer.decode(errors="surrogateescape")) if buffer else code
        except _Exit as end:
            return end.code

    async def _run(self, line: str) -> int:
        try:
            commands = parse(line)
        except SyntaxProblem as problem:
            await self._complain(self._stdio, str(problem))
            return self._ended(_SYNTAX)
        code = 0
        for command in commands:
            if command.condition is Condition.ALWAYS or (code == 0) == (command.condition is Condition.AFTER_SUCCESS):
                code = self._ended(await self._run_command(command))
        return code

    async def _run_command(self, command: SimpleCommand) -> int:
        try:
            stdio, targets = self._redirect(command.redirections)
        except StorageError as error:
            await self._complain(self._stdio, str(error))
            return _CANNOT_REDIRECT
        words = tuple(map(self._expand, command.words))
        assignments = {name: self._expand(word) for name, word in command.assignments}
        if words:
            code = await self._run_words(words, stdio, assignments)
        else:
            self._variables |= assignments
            code = 0
        for target in targets:
            try:
                target.save()
            except StorageError as error:
                await self._complain(self._stdio, f"can't create {target.path}: {error}")
                return _CANNOT_REDIRECT
        return code

    async def _run_words(self, words: tuple[str, ...], stdio: Stdio, assignments: dict[str, str]) -> int:
        name, *arguments = words
        match name.rpartition("/")[2]:
            case "exit":
                raise _Exit(int(arguments[0]) & 0xFF if arguments and arguments[0].isdecimal() else self._last_code())
            case "sh" if arguments[:1] == ["-c"]:
                return await Shell(self._phone, self._commands, stdio).run(" ".join(arguments[1:2]))
            case "sh":
                return await Shell(self._phone, self._commands, stdio).run_input()
            case "exec" if arguments:
                raise _Exit(await self._run_words(tuple(arguments), stdio, assignments))
            case base if (command := self._commands.get(base)) is not None:
                environment = self._variables | assignments

                async def main(process: Process) -> int:
                    return await command(Invocation(self._phone, process, stdio, environment))

                return await self._phone.processes.run(words, main)
        await self._complain(stdio, f"{name}: inaccessible or not found")
        return _NOT_FOUND

    def _redirect(self, redirections: tuple[Redirection, ...]) -> tuple[Stdio, list["_Target"]]:
        streams = _Streams(self._stdio)
        targets = []
        for redirection in redirections:
            path = self._expand(redirection.target)
            if redirection.operator == ">&":
                streams.duplicate(redirection.descriptor, path)
            elif redirection.operator == "<":
                streams.input = self._read(path)
            else:
                target = _Target(self._phone, path, append=redirection.operator == ">>")
                streams.connect(redirection.descriptor, target)
                targets.append(target)
        return streams, targets

    def _read(self, path: str) -> bytes:
        if path == "/dev/null":
            return b""
        try:
            return self._phone.files.read(path)
        except StorageError as error:
            raise StorageError(f"can't open {path}: {error}") from None

    def _expand(self, word: Word) -> str:
        return "".join(self._variables.get(part.name, "") if isinstance(part, Parameter) else part for part in word)

    def _ended(self, code: int) -> int:
        self._variables["?"] = str(code)
        return code

    def _last_code(self) -> int:
        return int(self._variables["?"])

    async def _complain(self, stdio: Stdio, message: str) -> None:
        await stdio.write_error(f"{_NAME}: {message}\n".encode(errors="surrogateescape"))


class _Target:
    """A file that a command's output goes to; it is there when the command has ended."""

    def __init__(self, phone: Phone, path: str, *, append: bool) -> None:
        self._phone = phone
        self.path = path
        self._data = bytearray()
        if append and phone.files.find(path) is not None:
            self._data += phone.files.read(path)
        self._room = phone.files.room(path)

    async def write(self, data: bytes) -> None:
        if self.path != "/dev/null" and len(self._data) <= self._room:
            self._data += data

    def save(self) -> None:
        if self.path != "/dev/null":
            self._phone.files.write(self.path, bytes(self._data), 0o644, self._phone.wall_time())


class _Streams:
    """The standard streams of one command after its redirections."""

    def __init__(self, stdio: Stdio) -> None:
        self._stdio = stdio
        self._outputs: dict[int, Callable[[bytes], Awaitable[None]]] = {1: stdio.write, 2: stdio.write_error}
        self.input: bytes | None = None
        """What is read instead of the shell's own input."""

    def connect(self, descriptor: int, target: _Target) -> None:
        self._outputs[descriptor] = target.write

    def duplicate(self, descriptor: int, other: str) -> None:
        """`2>&1`. Raises `StorageError` for a descriptor that is not open."""
        if not other.isdecimal() or int(other) not in self._outputs:
            raise StorageError(f"{other}: bad file descriptor")
        self._outputs[descriptor] = self._outputs[int(other)]

    async def read(self) -> bytes:
        if self.input is None:
            return await self._stdio.read()
        data, self.input = self.input, b""
        return data

    async def write(self, data: bytes) -> None:
        await self._outputs[1](data)

    async def write_error(self, data: bytes) -> None:
        await self._outputs[2](data)
