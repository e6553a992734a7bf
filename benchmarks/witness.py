"""One viewer in real Chromium who notes every picture, when the phone drew it, and what the service says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, BrowserContext, Page

from benchmarks.instruments import instruments, strip_reader
from benchmarks.sightings import ShownPicture, Sightings, Told

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Receipt:
    """By what one would know that a session is another one, and what its decoder has gone through."""

    session: str
    """Its address at the service."""
    attempts: int
    """Sessions that the viewer has begun."""
    connections: int
    """Peer connections that the page has made."""
    signaling_states: tuple[str, ...]
    """Those that they entered, one after the other."""
    ssrc: int
    frames_decoded: int
    frames_dropped: int
    freezes: int
    """As webrtc-stats count them."""
    freeze_seconds: float
    plis: int
    nacks: int
    packets_lost: int


class Witness:
    """One page that watches one phone."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.seen = Sightings()

    @classmethod
    async def watching(cls, context: Browser | BrowserContext, address: str) -> Self:
        """Open the viewer page at `address`, and return when its pictures are live."""
        page = await context.new_page()
        await page.add_init_script((_FOLDER / "negotiations.js").read_text())
        await page.goto(address)
        await page.add_script_tag(content=instruments(), type="module")
        await page.wait_for_function("window.until !== undefined")
        await page.evaluate("until(() => viewer()?.caughtUpAt, 30000)")
        await page.add_script_tag(content=_source(), type="module")
        await page.wait_for_function("window.receipt !== undefined")
        return cls(page)

    async def look(self) -> None:
        """Take in what the page has noted since the last time."""
        notes: dict[str, list[Any]] = await self.page.evaluate("takeNotes()")
        for shown_at, drawn_at, width, height in notes["pictures"]:
            self.seen.pictures.append(ShownPicture(shown_at / 1000, drawn_at / 1000, width, height))
        self.seen.unreadable += [at / 1000 for at in notes["unreadable"]]
        for each in notes["told"]:
            self.seen.told.append(Told(each["at"] / 1000, each["type"], each["state"], each["reason"]))

    async def receipt(self) -> Receipt:
        """How the session stands now."""
        values: dict[str, Any] = await self.page.evaluate("receipt()")
        return Receipt(
            session=values["session"],
            attempts=values["attempts"],
            connections=values["connections"],
            signaling_states=tuple(values["signalingStates"]),
            ssrc=values["ssrc"],
            frames_decoded=values["framesDecoded"],
            frames_dropped=values["framesDropped"],
            freezes=values["freezeCount"],
            freeze_seconds=values["totalFreezesDuration"],
            plis=values["pliCount"],
            nacks=values["nackCount"],
            packets_lost=values["packetsLost"],
        )


def _source() -> str:
    return strip_reader() + (_FOLDER / "witness.js").read_text()
