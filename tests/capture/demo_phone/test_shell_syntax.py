"""Command lines."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.adb.command_line import command_line
from capture.demo_phone.shell_syntax import Condition, Parameter, Redirection, SyntaxProblem, parse


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("input tap 1 2", [("input",), ("tap",), ("1",), ("2",)]),
        ("screenrecord '--output-format=h264' '-'", [("screenrecord",), ("--output-format=h264",), ("-",)]),
        (r"""a 'b;c' "d & e" f\ g 'it'\''s' """, [("a",), ("b;c",), ("d & e",), ("f g",), ("it's",)]),
        ("echo '' x''y", [("echo",), ("",), ("xy",)]),
        ('echo "$? \\$HOME" ${PATH}x $', [("echo",), (Parameter("?"), " $HOME"), (Parameter("PATH"), "x"), ("$",)]),
        ("echo '$HOME' # a comment; rm -r /", [("echo",), ("$HOME",)]),
        ('echo "a\\b"', [("echo",), ("a\\b",)]),
    ],
)
def test_words(line: str, words: list[tuple[str | Parameter, ...]]) -> None:
    (command,) = parse(line)
    assert list(command.words) == words


def test_commands_and_their_conditions() -> None:
    commands = parse("a; b && c || d\ne;")
    assert [(command.condition, command.words[0][0]) for command in commands] == [
        (Condition.ALWAYS, "a"),
        (Condition.ALWAYS, "b"),
        (Condition.AFTER_SUCCESS, "c"),
        (Condition.AFTER_FAILURE, "d"),
        (Condition.ALWAYS, "e"),
    ]


def test_redirections() -> None:
    (command,) = parse("a 2>&1 >/dev/null <in 2>> 'log file' x2>y")
    assert command.words == (("a",), ("x2",))
    assert command.redirections == (
        Redirection(2, ">&", ("1",)),
        Redirection(1, ">", ("/dev/null",)),
        Redirection(0, "<", ("in",)),
        Redirection(2, ">>", ("log file",)),
        Redirection(1, ">", ("y",)),
    )


def test_assignments() -> None:
    (command,) = parse("CLASSPATH=/data/a.jar B='x y' app_process / C=d")
    assert command.assignments == (("CLASSPATH", ("/data/a.jar",)), ("B", ("x y",)))
    assert command.words == (("app_process",), ("/",), ("C=d",))


@pytest.mark.parametrize("line", ["", "   ", "\n\n", "# nothing"])
def test_nothing_to_do(line: str) -> None:
    assert parse(line) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a | b", "unexpected '|'"),
        ("a &", "unexpected '&'"),
        ("(a)", "unexpected '\\('"),
        ("a ;; b", "unexpected ';'"),
        ("&& a", "unexpected '&&'"),
        ("a &&", "unexpected end of file"),
        ("a >", "unexpected end of file"),
        ("a 'b", "no closing quote"),
        ('a "b', "no closing quote"),
        ("a `b`", "command substitution"),
        ('a "$(b)"', "command substitution"),
    ],
)
def test_what_the_shell_does_not_know_is_named(line: str, problem: str) -> None:
    with pytest.raises(SyntaxProblem, match=problem):
        parse(line)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20), min_size=1))
@settings(max_examples=100)
def test_what_our_client_quotes_comes_out_as_it_was(words: list[str]) -> None:
    (command,) = parse(command_line(["echo", *words]))
    assert ["".join(map(str, word)) for word in command.words] == ["echo", *words]


@given(st.text(st.sampled_from("ab1 \t\n;&|<>()'\"\\$`#{}?=é"), max_size=40))
@settings(max_examples=200)
def test_any_line_is_parsed_or_refused(line: str) -> None:
    try:
        parse(line)
    except SyntaxProblem:
        pass
