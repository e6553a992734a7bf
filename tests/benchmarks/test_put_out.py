import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.put_out import Comparison, Piece, compare, digest

PICTURES = list("abcdefgh")


def test_what_came_whole_is_not_lost() -> None:
    assert compare(PICTURES, PICTURES[:6], due=5) == Comparison(tuple((n, n) for n in range(6)), lost=0, foreign=0)


def test_what_is_due_and_did_not_come_is_lost() -> None:
    comparison = compare(PICTURES, ["a", "b", "e"], due=6)

    assert comparison.arrived == ((0, 0), (1, 1), (4, 2))
    assert comparison.lost == 3  # c, d and f


def test_nothing_that_came_loses_all() -> None:
    assert compare(PICTURES, [], due=5) == Comparison((), lost=5, foreign=0)


def test_what_was_cut_is_lost_and_foreign() -> None:
    comparison = compare(PICTURES, ["a", "half of b", "c"], due=3)

    assert (comparison.lost, comparison.foreign) == (1, 1)
    assert comparison.arrived == ((0, 0), (2, 2))


def test_what_came_twice_or_too_early_is_foreign() -> None:
    assert compare(PICTURES, ["a", "b", "b"], due=2).foreign == 1
    assert compare(PICTURES, ["b", "a", "c"], due=3).foreign == 1


def test_a_clip_that_is_played_again_is_compared_by_its_order() -> None:
    again = PICTURES * 2

    assert compare(again, again, due=16).lost == 0
    assert compare(again, again[:7] + again[8:], due=16) == Comparison(
        tuple((n, n if n < 7 else n - 1) for n in range(16) if n != 7), lost=1, foreign=0
    )


def test_a_beginning_that_nobody_heard_is_not_lost() -> None:
    assert compare(PICTURES, PICTURES[2:], due=8, missed=2).lost == 0
    assert compare(PICTURES, PICTURES[3:], due=8, missed=2).lost == 3
    assert compare(PICTURES, ["c", "e", "f", "g", "h"], due=8, missed=2).lost == 1


def test_a_piece_survives_its_line() -> None:
    piece = Piece(digest([b"\0\0\1", b"2"]), 12345.678901234567, 9000)

    assert Piece.parse(str(piece)) == piece


@pytest.mark.parametrize("line", ["", "abc 1.0", "abc yesterday 3", "abc 1.0 many", "a b c d"])
def test_a_line_that_is_no_piece_is_refused(line: str) -> None:
    with pytest.raises(BenchmarkError, match="told of a piece"):
        Piece.parse(line)


def test_a_digest_knows_where_a_nal_unit_ends() -> None:
    assert digest([b"ab", b"c"]) != digest([b"a", b"bc"])
