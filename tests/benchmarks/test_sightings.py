import math

from benchmarks.sightings import ShownPicture, Sightings, Told

DELAY = 0.05


def seen(*drawn_at: float) -> Sightings:
    return Sightings([ShownPicture(moment + DELAY, moment, 720, 1280) for moment in drawn_at])


def test_a_freeze_lies_between_new_pictures() -> None:
    sightings = seen(10.0, 10.1, 10.5, 10.6)
    assert math.isclose(sightings.longest_freeze(10.0, 10.65), 0.4)
    assert math.isclose(sightings.longest_freeze(10.2, 10.3), 0.4), (
        "the freeze is longer than the time that is asked for"
    )
    assert math.isclose(sightings.longest_freeze(10.56, 10.65), 0.1)


def test_a_repeated_picture_is_not_new() -> None:
    repeated = ShownPicture(10.3, 10.0, 720, 1280)
    sightings = seen(10.0, 10.5)
    sightings.pictures.insert(1, repeated)
    assert math.isclose(sightings.longest_freeze(10.0, 10.55), 0.5)
    assert sightings.backwards() == 0


def test_a_freeze_that_has_not_ended_counts() -> None:
    assert math.isclose(seen(10.0, 10.1).longest_freeze(10.0, 13.15), 3.0)
    assert Sightings().longest_freeze(10.0, 13.0) == 0.0


def test_the_first_picture_that_was_drawn_after_a_moment() -> None:
    sightings = seen(10.0, 10.1, 10.2)
    assert sightings.first_drawn_after(10.1) == sightings.pictures[2]
    assert sightings.first_drawn_after(10.2) is None


def test_a_picture_that_goes_backwards() -> None:
    assert seen(10.0, 10.4, 10.2, 10.25, 10.5).backwards() == 2
    assert seen(10.0, 10.2, 10.15, 10.3).backwards() == 0, "two recorders draw a picture apart"


def test_what_was_said_of_the_phone() -> None:
    states = ["online", "reconnecting", "reconnecting", "online", "online"]
    told = [Told(10.0 + number, "device-state", state, "") for number, state in enumerate(states)]
    sightings = Sightings(told=[*told, Told(20.0, "stream-state", "scrcpy", "")])
    assert sightings.device_states(9.0) == ("reconnecting", "online")
    assert sightings.device_states(13.5) == ()
