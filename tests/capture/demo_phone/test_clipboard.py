"""The phone's clipboard."""

from capture.demo_phone.clipboard import Clipboard


class Client:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def tell(self, text: str) -> None:
        self.heard.append(text)


def test_all_are_told_but_the_one_that_did_it() -> None:
    clipboard, one, two = Clipboard(), Client(), Client()
    clipboard.add_listener(one.tell)
    clipboard.add_listener(two.tell)
    assert clipboard.set("a", by=one.tell)
    assert clipboard.set("b")
    assert (clipboard.text, one.heard, two.heard) == ("b", ["b"], ["a", "b"])


def test_what_is_held_already_is_no_change() -> None:
    clipboard, client = Clipboard(), Client()
    clipboard.set("a")
    clipboard.add_listener(client.tell)
    assert not clipboard.set("a")
    clipboard.remove_listener(client.tell)
    clipboard.set("b")
    assert client.heard == []
