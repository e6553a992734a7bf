"""Events wait, in order, until they are confirmed."""

from hypothesis import given
from hypothesis import strategies as st

from media_service.integrations.event import Event
from media_service.integrations.event_buffer import FULL, EventBuffer


def event(number: int) -> Event:
    return Event(f"e{number}", "media.session.created", 0.0, b"{}")


def ids(events: list[Event]) -> list[str]:
    return [each.message_id for each in events]


def test_events_are_taken_in_order_and_leave_when_confirmed() -> None:
    buffer = EventBuffer()
    for number in range(5):
        buffer.add(event(number))
    taken = buffer.take(3)
    assert ids(taken) == ["e0", "e1", "e2"]
    assert len(buffer) == 5
    buffer.confirmed(taken[1])
    assert len(buffer) == 4
    assert ids(buffer.take(10)) == ["e3", "e4"]
    assert buffer.take(10) == []


def test_what_is_not_confirmed_comes_first_again_in_its_old_order() -> None:
    buffer = EventBuffer()
    for number in range(5):
        buffer.add(event(number))
    taken = buffer.take(3)
    buffer.confirmed(taken[1])
    buffer.put_back()
    assert ids(buffer.take(10)) == ["e0", "e2", "e3", "e4"]


def test_a_full_buffer_drops_the_oldest_that_waits_and_counts_it() -> None:
    buffer = EventBuffer(3)
    for number in range(3):
        buffer.add(event(number))
    (under_way,) = buffer.take(1)
    buffer.add(event(3))
    assert len(buffer) == 3
    assert buffer.drops == {FULL: 1}
    buffer.confirmed(under_way)
    assert ids(buffer.take(10)) == ["e2", "e3"]


def test_where_everything_is_under_way_the_new_one_is_dropped() -> None:
    buffer = EventBuffer(2)
    for number in range(2):
        buffer.add(event(number))
    buffer.take(2)
    buffer.add(event(2))
    assert buffer.drops == {FULL: 1}
    buffer.put_back()
    assert ids(buffer.take(10)) == ["e0", "e1"]


def test_giving_up_counts_everything() -> None:
    buffer = EventBuffer()
    buffer.add(event(0))
    buffer.add(event(1))
    buffer.take(1)
    assert buffer.give_up("unsent") == 2
    assert (len(buffer), buffer.drops) == (0, {"unsent": 2})
    assert buffer.give_up("unsent") == 0


@given(st.lists(st.sampled_from(["add", "take", "confirm", "lose"])), st.integers(1, 6))
def test_whatever_happens_nothing_is_lost_but_what_is_counted(steps: list[str], limit: int) -> None:
    buffer = EventBuffer(limit)
    under_way: list[Event] = []
    added, arrived = 0, []
    for step in steps:
        if step == "add":
            buffer.add(event(added))
            added += 1
        elif step == "take":
            under_way += buffer.take(2)
        elif step == "confirm" and under_way:
            arrived.append(under_way.pop(0))
            buffer.confirmed(arrived[-1])
        elif step == "lose":
            buffer.put_back()
            under_way.clear()
        assert len(buffer) <= limit
        assert len(arrived) + len(buffer) + buffer.drops[FULL] == added
    numbers = [int(each.message_id[1:]) for each in arrived]
    assert numbers == sorted(set(numbers))
