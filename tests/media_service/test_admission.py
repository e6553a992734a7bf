"""Who gets a place, and who is told what instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.admission import Admission, Limits, Place
from signaling.errors import Full, TooMany


def test_the_process_has_a_limit() -> None:
    admission = Admission(Limits(sessions=2))
    first = admission.take("ann", "phone-1", 0.0)
    admission.take("bob", "phone-2", 0.0)
    with pytest.raises(Full, match="2 sessions are open") as refused:
        admission.take("cid", "phone-3", 0.0)
    assert (refused.value.code, refused.value.status, refused.value.retry_after) == ("too_many_viewers", 503, 10)
    first.give_back()
    first.give_back()
    admission.take("cid", "phone-3", 0.0)
    with pytest.raises(Full):
        admission.take("dan", "phone-3", 0.0)
    assert admission.refused == {"too_many_viewers": 2}


def test_a_device_has_a_limit() -> None:
    admission = Admission(Limits(sessions_per_device=1))
    place = admission.take(None, "phone-1", 0.0)
    with pytest.raises(Full, match="'phone-1' has 1 viewers") as refused:
        admission.take(None, "phone-1", 0.0)
    assert refused.value.code == "too_many_viewers_of_device"
    admission.take(None, "phone-2", 0.0)
    place.give_back()
    admission.take(None, "phone-1", 0.0)


def test_a_user_has_a_limit_and_nobody_in_particular_has_none() -> None:
    admission = Admission(Limits(sessions_per_user=2))
    place = admission.take("ann", "phone-1", 0.0)
    admission.take("ann", "phone-2", 0.0)
    with pytest.raises(TooMany, match="this user has 2 sessions") as refused:
        admission.take("ann", "phone-3", 0.0)
    assert (refused.value.code, refused.value.status) == ("too_many_sessions_of_user", 429)
    admission.take("bob", "phone-3", 0.0)
    for _ in range(20):
        admission.take(None, "phone-3", 0.0)
    place.give_back()
    admission.take("ann", "phone-3", 0.0)


def test_joins_of_a_user_are_limited_and_come_back_with_time() -> None:
    admission = Admission(Limits(joins_per_minute=6))
    for _ in range(6):
        admission.take("ann", "phone-1", 100.0).give_back()
    with pytest.raises(TooMany, match="6 sessions within a minute") as refused:
        admission.take("ann", "phone-1", 100.0)
    assert refused.value.code == "too_many_joins"
    assert refused.value.retry_after == 10
    admission.take("bob", "phone-1", 100.0)
    with pytest.raises(TooMany):
        admission.take("ann", "phone-1", 109.0)
    admission.take("ann", "phone-1", 110.5)


@given(
    st.lists(
        st.tuples(st.sampled_from([None, "a", "b"]), st.sampled_from("xy"), st.booleans(), st.floats(0, 60)),
        max_size=60,
    )
)
def test_limits_hold_whatever_comes(steps: list[tuple[str | None, str, bool, float]]) -> None:
    limits = Limits(sessions=6, sessions_per_user=3, sessions_per_device=4, joins_per_minute=1000)
    admission = Admission(limits)
    places: list[Place] = []
    for user, device, leaves, _ in steps:
        if leaves and places:
            places.pop(0).give_back()
        fits = (
            len(places) < 6
            and sum(place.device_id == device for place in places) < 4
            and (user is None or sum(place.user_id == user for place in places) < 3)
        )
        try:
            places.append(admission.take(user, device, 0.0))
            assert fits
        except (Full, TooMany):
            assert not fits
