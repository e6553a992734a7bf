"""What the platform announces, twice and in any order, and who is expected then."""

from hypothesis import given
from hypothesis import strategies as st

from media_service.announced_phones import AnnouncedPhones
from media_service.integrations import DeviceEvent, DeviceEventKind

STARTED, STOPPED, DELETED = DeviceEventKind


class Book:
    """Fits `media_service.announced_phones.Expectations`."""

    def __init__(self) -> None:
        self.expected: dict[str, str | None] = {}
        self.calls = 0

    def expect(self, address: str, origin: str, name: str | None = None) -> None:
        assert address not in self.expected
        self.expected[address] = name
        self.calls += 1

    def forget(self, address: str, origin: str) -> None:
        del self.expected[address]


def test_a_phone_comes_and_goes() -> None:
    book = Book()
    phones = AnnouncedPhones(book)
    phones.take(DeviceEvent(STARTED, "192.0.2.1:5555", "lobby"))
    phones.take(DeviceEvent(STARTED, "192.0.2.2:5555", None))
    assert book.expected == {"192.0.2.1:5555": "lobby", "192.0.2.2:5555": None}
    phones.take(DeviceEvent(STOPPED, None, "lobby"))
    phones.take(DeviceEvent(DELETED, None, "lobby"))
    phones.take(DeviceEvent(DELETED, "192.0.2.2:5555", None))
    assert book.expected == {}


def test_what_is_announced_twice_counts_once() -> None:
    book = Book()
    phones = AnnouncedPhones(book)
    for _ in range(3):
        phones.take(DeviceEvent(STARTED, "192.0.2.1:5555", "lobby"))
    assert book.calls == 1
    phones.take(DeviceEvent(STARTED, "192.0.2.1:5555", "hall"))
    assert book.expected == {"192.0.2.1:5555": "hall"}


def test_a_phone_that_starts_elsewhere_is_not_expected_where_it_was() -> None:
    book = Book()
    phones = AnnouncedPhones(book)
    phones.take(DeviceEvent(STARTED, "192.0.2.1:5555", "lobby"))
    phones.take(DeviceEvent(STARTED, "192.0.2.9:5555", "lobby"))
    assert book.expected == {"192.0.2.9:5555": "lobby"}


@given(
    st.lists(
        st.tuples(st.sampled_from(DeviceEventKind), st.sampled_from(["a:1", "b:1"]), st.sampled_from([None, "x", "y"]))
    )
)
def test_whatever_is_announced_nothing_is_expected_twice_or_forgotten_unexpected(
    events: list[tuple[DeviceEventKind, str, str | None]],
) -> None:
    book = Book()
    phones = AnnouncedPhones(book)
    for kind, address, name in events:
        phones.take(DeviceEvent(kind, address, name))
    names = [name for name in book.expected.values() if name]
    assert len(names) == len(set(names))
    for address in ("a:1", "b:1"):
        phones.take(DeviceEvent(STOPPED, address, None))
    assert book.expected == {}
