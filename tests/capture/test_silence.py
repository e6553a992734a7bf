"""When a silent source is asked, and when it is given up."""

from hypothesis import given
from hypothesis import strategies as st

from capture.silence import FIRST_SILENCE, LONGEST_SILENCE, PATIENCE, Silence, Verdict

ASK, DEAD, WAIT = Verdict.ASK, Verdict.DEAD, Verdict.WAIT


def questions(silence: Silence, picture_at: float, until: float) -> list[float]:
    """When a source is asked that answers at once and shows nothing else."""
    asked: list[float] = []
    for now in range(round(until)):
        if silence.look(picture_at, now) is ASK:
            asked.append(now)
            picture_at = now + 0.1
    return asked


def test_a_source_that_sends_is_left_alone() -> None:
    silence = Silence()
    assert {silence.look(now - 0.03, now) for now in range(100)} == {WAIT}


def test_a_still_screen_is_asked_ever_less_often() -> None:
    asked = questions(Silence(), 0.0, 2000)
    assert asked[:5] == [10, 31, 72, 153, 314]
    assert asked[-1] - asked[-2] == LONGEST_SILENCE + 1


def test_one_that_does_not_answer_is_dead() -> None:
    silence = Silence()
    assert silence.look(0.0, FIRST_SILENCE - 1) is WAIT
    assert silence.look(0.0, FIRST_SILENCE) is ASK
    assert silence.look(0.0, FIRST_SILENCE + PATIENCE) is WAIT
    assert silence.look(0.0, FIRST_SILENCE + PATIENCE + 0.1) is DEAD


def test_a_screen_that_moves_again_is_soon_asked_again() -> None:
    silence = Silence()
    last = questions(silence, 0.0, 200)[-1]
    assert silence.look(last + 0.1, last + 1) is WAIT
    moved_at = last + 20.0
    assert silence.look(moved_at, moved_at + 1) is WAIT
    assert silence.look(moved_at, moved_at + FIRST_SILENCE) is ASK


def test_the_echo_of_an_answer_is_no_movement() -> None:
    silence = Silence()
    assert silence.look(0.0, 10.0) is ASK
    assert silence.look(10.1, 10.2) is WAIT
    assert silence.look(11.1, 11.2) is WAIT
    assert silence.look(11.1, 11.1 + FIRST_SILENCE) is WAIT
    assert silence.look(11.1, 11.1 + 2 * FIRST_SILENCE) is ASK


@given(st.lists(st.tuples(st.floats(0.1, 30), st.floats(0, 30))))
def test_who_answers_every_question_is_never_dead(steps: list[tuple[float, float]]) -> None:
    silence = Silence()
    now = picture_at = 0.0
    for after, age in steps:
        now += after
        picture_at = max(picture_at, now - age)
        verdict = silence.look(picture_at, now)
        assert verdict is not DEAD
        if verdict is ASK:
            picture_at = now
