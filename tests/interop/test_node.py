"""node-datachannel (libdatachannel) and werift: they hand over the RTP packets that they decrypted."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.node import NODE
from tests.interop.picture import RtpPictures, assert_demo_pictures
from tests.interop.player import TIMEOUT, Event, Player, running_player

pytestmark = [pytest.mark.network, pytest.mark.asyncio(loop_scope="session")]


class RtpPlayer:
    """A player and the pictures in the packets that it told of."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.rtp = RtpPictures()

    async def see(self, count: int) -> None:
        """Watch until there are `count` more pictures."""
        wanted = len(self.rtp.pictures) + count
        await self._watch(lambda _: len(self.rtp.pictures) >= wanted)

    async def until(self, kind: str) -> Event:
        """Watch until it tells of that."""
        return await self._watch(lambda event: event["event"] == kind)

    async def leave(self) -> None:
        """Have it end its session and itself."""
        await self.player.say("leave")
        assert (await self.until("left"))["status"] == 200
        assert await self.player.ended() == 0

    async def _watch(self, is_enough: Callable[[Event], bool]) -> Event:
        async with asyncio.timeout(TIMEOUT):
            while True:
                event = await self.player.event()
                if event["event"] == "packet" and self.rtp.receive(base64.b64decode(event["data"])):
                    await self.player.say("keyframe")
                if is_enough(event):
                    return event


async def test_node_datachannel_trickles_and_shows_the_phone(node_players: Path, endpoint: str) -> None:
    async with running_player([str(NODE), str(node_players / "node_datachannel_player.mjs"), endpoint]) as process:
        player = RtpPlayer(process)
        assert "a=candidate:" not in (await player.until("answered"))["offer"]
        trickled = await player.until("trickled")
        assert trickled["status"] == 204
        assert "a=candidate:" in trickled["fragment"]
        await player.see(20)
        await player.leave()
    assert_demo_pictures(player.rtp.pictures)


async def test_werift_shows_the_phone_before_and_after_an_ice_restart(node_players: Path, endpoint: str) -> None:
    async with running_player([str(NODE), str(node_players / "werift_player.mjs"), endpoint]) as process:
        player = RtpPlayer(process)
        await player.see(20)
        await process.say("restart")
        before, after = (await player.until("restarted"))["etags"]
        assert before != after
        # A pair was nominated by checks with the new credentials, of which the entity tag is one.
        assert f'"{(await player.until("nominated"))["username"]}"' == after
        await player.see(20)
        await player.leave()
    assert_demo_pictures(player.rtp.pictures)
