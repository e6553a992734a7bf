"""The part of the shell's language that the phone understands: `a; b && c || d`, quotes, `$NAME`, redirections.

Pipes, background jobs and command substitution are no part of it and are refused by name.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class SyntaxProblem(ValueError):
    """A command line that the phone's shell cannot run."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """`$NAME`, `${NAME}`, `$?` or `$$`."""

    name: str


Word = tuple[str | Parameter, ...]
"""The parts of one word, quotes already taken off."""


class Condition(StrEnum):
    """When a command runs, by how the one before it ended."""

    ALWAYS = ";"
    AFTER_SUCCESS = "&&"
    AFTER_FAILURE = "||"


@dataclass(frozen=True, slots=True)
class Redirection:
    """`2> target`, with `&1` as target of a duplicated one."""

    descriptor: int
    operator: str
    """`<`, `>`, `>>` or `>&`."""
    target: Word


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """One command of a command line."""

    condition: Condition
    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirections: tuple[Redirection, ...]


_BLANK = " \t"
_OPERATOR_CHARACTERS = ";&|<>\n"
_ENDS_WORD = _BLANK + _OPERATOR_CHARACTERS + "()"
_OPERATOR = re.compile(r"&&|\|\||>>|>&|[;\n<>&|()]")
_PARAMETER = re.compile(r"\$(?:(\w+|\?|\$)|\{(\w+|\?|\$)\})", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_REDIRECTION = re.compile(r"(\d?)(>>|>&|>|<)", re.ASCII)
_DEFAULT_DESCRIPTOR = {">": 1, ">>": 1, ">&": 1, "<": 0}
_ESCAPED_IN_QUOTES = '"\\$`'


def parse(line: str) -> list[SimpleCommand]:
    """The commands of a command line. Raises `SyntaxProblem`."""
    return _Parser(line).parse()


class _Parser:
    def __init__(self, line: str) -> None:
        self._line = line
        self._at = 0

    def parse(self) -> list[SimpleCommand]:
        commands: list[SimpleCommand] = []
        condition = Condition.ALWAYS
        while True:
            command = self._command(condition)
            operator = self._operator()
            if command is not None:
                commands.append(command)
            elif operator not in ("", "\n") or condition is not Condition.ALWAYS:
                raise SyntaxProblem(f"syntax error: unexpected {_shown(operator)}")
            if not operator:
                return commands
            condition = Condition(operator) if operator in ("&&", "||") else Condition.ALWAYS

    def _command(self, condition: Condition) -> SimpleCommand | None:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirections: list[Redirection] = []
        while True:
            self._skip_blanks()
            if (redirection := self._redirection()) is not None:
                redirections.append(redirection)
            elif self._peek() in _OPERATOR_CHARACTERS + "()":
                break
            elif not words and (assignment := _ASSIGNMENT.match(self._line, self._at)):
                self._at = assignment.end()
                assignments.append((assignment[0][:-1], self._word()))
            else:
                words.append(self._word())
        if not (assignments or words or redirections):
            return None
        return SimpleCommand(condition, tuple(assignments), tuple(words), tuple(redirections))

    def _operator(self) -> str:
        """The operator that ends a command, "" at the end of the line."""
        match = _OPERATOR.match(self._line, self._at)
        if match is None:
            return ""
        if match[0] not in (";", "\n", "&&", "||"):
            raise SyntaxProblem(f"syntax error: unexpected {_shown(match[0])}")
        self._at = match.end()
        return match[0]

    def _redirection(self) -> Redirection | None:
        match = _REDIRECTION.match(self._line, self._at)
        if match is None:
            return None
        self._at = match.end()
        self._skip_blanks()
        target = self._word()
        if not target:
            raise SyntaxProblem(f"syntax error: unexpected {_shown(self._peek())}")
        descriptor = int(match[1]) if match[1] else _DEFAULT_DESCRIPTOR[match[2]]
        return Redirection(descriptor, match[2], target)

    def _word(self) -> Word:
        parts: list[str | Parameter] = []
        quoted = False
        while (character := self._peek()) and character not in _ENDS_WORD:
            if character == "'":
                quoted = True
                end = self._line.find("'", self._at + 1)
                if end < 0:
                    raise SyntaxProblem("no closing quote")
                parts.append(self._line[self._at + 1 : end])
                self._at = end + 1
            elif character == '"':
                quoted = True
                self._at += 1
                parts += self._double_quoted()
            elif character == "\\":
                parts.append(self._line[self._at + 1 : self._at + 2])
                self._at += 2
            else:
                parts.append(self._parameter_or_character())
        return _joined(parts) or (("",) if quoted else ())

    def _double_quoted(self) -> list[str | Parameter]:
        parts: list[str | Parameter] = []
        while (character := self._peek()) != '"':
            if not character:
                raise SyntaxProblem("no closing quote")
            if character == "\\" and self._line[self._at + 1 : self._at + 2] in tuple(_ESCAPED_IN_QUOTES):
                parts.append(self._line[self._at + 1])
                self._at += 2
            else:
                parts.append(self._parameter_or_character())
        self._at += 1
        return parts

    def _parameter_or_character(self) -> str | Parameter:
        if self._line.startswith("`", self._at) or self._line.startswith("$(", self._at):
            raise SyntaxProblem("command substitution is not supported on the demo phone")
        match = _PARAMETER.match(self._line, self._at)
        if match is not None:
            self._at = match.end()
            return Parameter(match[1] or match[2])
        self._at += 1
        return self._line[self._at - 1]

    def _skip_blanks(self) -> None:
        while self._peek() and self._peek() in _BLANK:
            self._at += 1
        if self._peek() == "#":
            end = self._line.find("\n", self._at)
            self._at = len(self._line) if end < 0 else end

    def _peek(self) -> str:
        return self._line[self._at : self._at + 1]


def _joined(parts: list[str | Parameter]) -> Word:
    """The parts with neighbouring texts made one, and empty ones left out."""
    word: list[str | Parameter] = []
    for part in parts:
        if isinstance(part, str) and word and isinstance(last := word[-1], str):
            word[-1] = last + part
        elif part != "":
            word.append(part)
    return tuple(word)


def _shown(operator: str) -> str:
    return {"": "end of file", "\n": "newline"}.get(operator, f"'{operator}'")
