"""Sessions by who asks for them: what each caller may, what is remembered, who is told, and a day that goes by."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from capture.controller import Controller
from capture.source import Source, Sources
from media_service.admission import Limits
from media_service.devices import Devices
from media_service.rtc.dtls import Certificate
from media_service.rtc.egress import Egress
from media_service.rtc.estimation import NONE
from media_service.rtc.media_port import MediaPort
from media_service.session import Session, Surroundings
from media_service.session_record import SessionRecord
from media_service.session_state import SessionEvent, SessionState
from media_service.sessions import Sessions
from media_service.tasks import Tasks
from signaling.caller import Caller, Capability
from signaling.errors import DeviceUnavailable, Forbidden, Full, MalformedSdp, NotFound, TooMany
from signaling.jsep import IceCredentials, TrickleFragment
from tests.media_service.aiortc_viewer import AiortcViewer
from tests.media_service.pushed_source import PushedSource
from tests.rtc.receivers import free_ports
from tests.signaling.samples import description
from tests.waiting import until

OFFER = description("chromium_video_data")
ADMIN = Caller()
ANN = Caller("ann", capabilities=frozenset({Capability.VIEW, Capability.CONTROL}), has_token=True)
BOB = Caller("bob", capabilities=frozenset({Capability.VIEW}), has_token=True)
ONLY_B = Caller("cid", capabilities=BOB.capabilities, devices={"b": BOB.capabilities}, has_token=True)

CERTIFICATE = Certificate.generateCertificate()


class Notebook:
    """Fits `media_service.session_record.SessionObserver`."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, SessionRecord]] = []

    def session_opened(self, record: SessionRecord) -> None:
        self.lines.append(("opened", record))

    def session_ended(self, record: SessionRecord) -> None:
        self.lines.append(("ended", record))


class Elsewhere:
    """Fits `media_service.ownership.Ownership`: device `b` is another instance's."""

    def __init__(self) -> None:
        self.held: list[str] = []

    async def hold(self, device_id: str) -> None:
        if device_id == "b":
            raise DeviceUnavailable("media-2 has 'b'", code="device_elsewhere", retry_after=5)
        self.held.append(device_id)

    def release(self, device_id: str) -> None:
        self.held.remove(device_id)


class Scene:
    """Sessions on two devices, `a` and `b`, that show a keyframe as soon as they are captured."""

    def __init__(self, port: MediaPort, **options: Any) -> None:
        self.port = port
        self.tasks = Tasks()
        self.egress = Egress(lambda _: None)
        self.notebook = Notebook()
        self.sources: list[PushedSource] = []
        surroundings = Surroundings(
            port, CERTIFICATE, self.egress, self.tasks, self._candidates, lambda _: None, 10.0, NONE.open
        )
        sources = Sources()
        sources.register("pushed", self._open)
        self.sessions = Sessions(
            surroundings,
            Devices({"a": "pushed:a", "b": "pushed:b"}),
            sources,
            _no_shell,
            grace=0.0,
            observers=(self.notebook,),
            **options,
        )

    async def close(self) -> None:
        await self.sessions.aclose()
        await self.tasks.aclose()
        self.egress.close()
        await self.port.aclose()

    def _candidates(self) -> tuple[str, ...]:
        return (f"1 1 udp 2130706431 127.0.0.1 {self.port.number} typ host",)

    async def _open(self, name: str) -> Source:
        source = PushedSource()
        source.keyframe()
        self.sources.append(source)
        return source


def _no_shell(serial: str) -> Controller:
    raise AssertionError("there are no phones here")


@pytest.fixture
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    made = Scene(await MediaPort.open(["127.0.0.1"], free_ports()), **getattr(request, "param", {}))
    yield made
    await made.close()


async def test_what_one_caller_opened_another_does_not_see(scene: Scene) -> None:
    sessions = scene.sessions
    mine, _ = await sessions.answer("a", OFFER, ANN)
    theirs, _ = await sessions.answer("a", OFFER, BOB)
    assert [each.session_id for each in sessions.sessions(ANN)] == [mine.session_id]
    assert len(sessions.sessions(ADMIN)) == 2
    assert sessions.describe_session(mine.session_id, ADMIN).user_id == "ann"
    assert sessions.session(mine.session_id, ANN) is mine
    for ask in (sessions.session, sessions.describe_session, sessions.explain):
        with pytest.raises(NotFound) as refused:
            ask(theirs.session_id, ANN)
        assert refused.value.code == "session_not_found"
    assert (mine.may_control, theirs.may_control) == (True, False)


async def test_a_token_for_one_device_opens_no_other(scene: Scene) -> None:
    sessions = scene.sessions
    with pytest.raises(Forbidden, match="does not allow view of 'a'"):
        await sessions.answer("a", OFFER, ONLY_B)
    await sessions.answer("b", OFFER, ONLY_B)
    assert [device.device_id for device in await sessions.devices(ONLY_B)] == ["b"]
    assert [device.device_id for device in await sessions.devices(ADMIN)] == ["a", "b"]
    for unknown in ("a", "c"):
        with pytest.raises(NotFound) as refused:
            await sessions.device(unknown, ONLY_B)
        assert refused.value.detail == f"there is no device {unknown!r} that this token allows to watch"
    with pytest.raises(NotFound, match="known: a, b"):
        await sessions.device("c", ADMIN)


@pytest.mark.parametrize(
    "scene", [{"limits": Limits(sessions=3, sessions_per_user=1, sessions_per_device=2)}], indirect=True
)
async def test_limits_are_kept_and_places_given_back(scene: Scene) -> None:
    sessions = scene.sessions
    first, _ = await sessions.answer("a", OFFER, ANN)
    with pytest.raises(TooMany):
        await sessions.answer("b", OFFER, ANN)
    await sessions.answer("a", OFFER, BOB)
    with pytest.raises(Full):
        await sessions.answer("a", OFFER, ADMIN)
    await first.aclose("the viewer left")
    await sessions.answer("b", OFFER, ANN)
    assert sessions.admission.refused == {"too_many_sessions_of_user": 1, "too_many_viewers_of_device": 1}


@pytest.mark.parametrize("scene", [{"limits": Limits(sessions=1)}], indirect=True)
async def test_what_could_not_be_opened_takes_no_place_and_nobody_is_told(scene: Scene) -> None:
    for _ in range(3):
        with pytest.raises(MalformedSdp):
            await scene.sessions.answer("a", "v=0\r\nnonsense", ADMIN)
    assert scene.notebook.lines == []
    await scene.sessions.answer("a", OFFER, ADMIN)


async def test_observers_are_told_once_of_each_beginning_and_end(scene: Scene) -> None:
    session, _ = await scene.sessions.answer("a", OFFER, ANN)
    await session.aclose("the viewer left")
    await session.aclose("again")
    (opened, first), (ended, last) = scene.notebook.lines
    assert (opened, ended) == ("opened", "ended")
    assert (first.session_id, first.device_id, first.user_id) == (session.session_id, "a", "ann")
    assert (first.state, first.ended_at) == (SessionState.CONNECTING, None)
    assert (last.state, last.reason) == (SessionState.CLOSED, "the viewer left")
    assert last.ended_at is not None
    assert last.ended_at >= last.created_at


@pytest.mark.parametrize("scene", [{"ownership": Elsewhere()}], indirect=True)
async def test_a_device_of_another_instance_is_not_captured(scene: Scene) -> None:
    with pytest.raises(DeviceUnavailable) as refused:
        await scene.sessions.answer("b", OFFER, ADMIN)
    assert refused.value.code == "device_elsewhere"
    assert scene.sources == []
    session, _ = await scene.sessions.answer("a", OFFER, ADMIN)
    await session.aclose("the viewer left")
    await until(lambda: not len(scene.sessions.streams) and scene.sources[0].is_closed)


async def test_a_service_that_drains_keeps_who_is_there_and_takes_nobody_else(scene: Scene) -> None:
    session, _ = await scene.sessions.answer("a", OFFER, ANN)
    draining = asyncio.create_task(scene.sessions.drain(20.0))  # noqa: TID251  # owned by this test
    await until(lambda: scene.sessions.is_draining)
    with pytest.raises(Full) as refused:
        await scene.sessions.answer("a", OFFER, BOB)
    assert refused.value.code == "draining"
    assert not draining.done()
    await session.aclose("the viewer left")
    await draining


async def test_draining_has_an_end(scene: Scene) -> None:
    await scene.sessions.answer("a", OFFER, ANN)
    await scene.sessions.drain(0.01)
    assert len(scene.sessions) == 1


async def test_a_session_explains_itself(scene: Scene) -> None:
    session, _ = await scene.sessions.answer("a", OFFER, ANN)
    said = scene.sessions.explain(session.session_id, ANN)
    assert (said["state"], said["bottleneck"], said["userId"]) == ("connecting", "connection", "ann")
    assert said["capture"]["mode"] == "pushed"
    assert said["capture"]["reason"] == "a test pushes"
    assert said["video"]["coding"] == "passthrough"
    assert said["video"]["profileReason"]
    assert (said["path"], said["network"], said["keyframes"]) == (None, None, [])


async def watching(scene: Scene, device: str, caller: Caller) -> tuple[Session, AiortcViewer]:
    """A session with a real viewer whose media flows."""
    session, offer = await scene.sessions.offer(device, caller)
    viewer = AiortcViewer("", device)
    session.accept_answer(await viewer.answer(offer))
    await until(lambda: session.state is SessionState.CONNECTED)
    return session, viewer


async def test_a_watching_session_explains_itself(scene: Scene) -> None:
    session, viewer = await watching(scene, "a", ANN)
    assert session.viewer is not None
    session.request_keyframe()
    said = scene.sessions.explain(session.session_id, ANN)
    assert (said["state"], said["path"]["protocol"], said["path"]["isNominated"]) == ("connected", "udp", True)
    assert said["network"]["fractionLost"] == 0.0
    assert said["bottleneck"] == "none"
    await viewer.leave()


async def test_a_day_goes_by(scene: Scene) -> None:
    """24 simulated hours: who watches stays, who is gone is noticed, remembered for half an hour and forgotten."""
    sessions = scene.sessions
    here, viewer = await watching(scene, "a", ANN)
    gone, other = await watching(scene, "b", BOB)
    unanswered, _ = await sessions.offer("a", ANN)
    now, wall_clock = time.monotonic(), time.time()
    last_heard = now + 3600.0
    noticed_after = forgotten_after = 0.0
    for second in range(0, 24 * 3600, 5):
        at = now + second
        # The browser's consent checks, as the media port would note them.
        here.peer.ice.last_check = at
        gone.peer.ice.last_check = min(at, last_heard)
        for turn in range(5):
            sessions.look(at, wall_clock + second, turn)
        if second % 300 == 0:
            sessions.sweep(wall_clock + second)
        if not noticed_after and gone.state is SessionState.FAILED:
            noticed_after = at - last_heard
            await until(lambda: sessions.statistics().failed_sessions)
            assert sessions.describe_session(gone.session_id, BOB).state == "failed"
            assert sessions.explain(gone.session_id, BOB)["reason"] == "the browser is not heard of any more"
        if noticed_after and not forgotten_after and not sessions.statistics().failed_sessions:
            forgotten_after = at - last_heard
    assert here.state is SessionState.CONNECTED
    assert 15.0 < noticed_after <= 20.0
    assert 1800.0 <= forgotten_after <= 1800.0 + 300.0
    assert unanswered.state is SessionState.NEW, "its time to connect is the real clock's"
    with pytest.raises(NotFound):
        sessions.describe_session(gone.session_id, BOB)
    assert here.viewer is not None
    pictures = here.viewer.counters.pictures_sent
    scene.sources[0].keyframe()
    await until(lambda: here.viewer is not None and here.viewer.counters.pictures_sent > pictures)
    await viewer.leave()
    await other.leave()


async def test_a_failed_session_can_be_forgotten(scene: Scene) -> None:
    session, _ = await scene.sessions.answer("a", OFFER, ANN)
    session.close(SessionEvent.BROKE, "no path was found")
    await until(lambda: scene.sessions.statistics().failed_sessions)
    with pytest.raises(NotFound):
        await scene.sessions.end(session.session_id, BOB)
    await scene.sessions.end(session.session_id, ANN)
    assert scene.sessions.sessions(ANN) == []


async def test_ice_restarts_keep_the_session(scene: Scene) -> None:
    session, viewer = await watching(scene, "a", ANN)
    before = session.etag
    ours = session.restart_ice(TrickleFragment(IceCredentials("newOne", "p" * 22), (), end_of_candidates=False))
    assert session.etag != before
    assert ours.credentials is not None
    await viewer.leave()


async def test_a_session_takes_candidates_and_restarts_but_not_without_end(scene: Scene) -> None:
    here, viewer = await watching(scene, "a", ANN)
    there, other = await watching(scene, "a", ANN)
    restart = TrickleFragment(IceCredentials("newOne", "p" * 22), (), end_of_candidates=False)
    candidates = TrickleFragment(None, (), end_of_candidates=True)

    def without_end(change: Callable[[], object]) -> None:
        for _ in range(10_000):
            change()

    for change in (lambda: here.add_candidates(candidates), lambda: there.restart_ice(restart)):
        with pytest.raises(TooMany) as refused:
            without_end(change)
        assert (refused.value.code, refused.value.retry_after) == ("too_many_requests", 1)
    assert here.state is there.state is SessionState.CONNECTED
    await viewer.leave()
    await other.leave()


async def test_a_weaker_token_of_the_same_user_is_not_lent_what_a_stronger_one_opened(scene: Scene) -> None:
    session, _ = await scene.sessions.answer("a", OFFER, ANN)
    only_b = replace(ANN, devices={"b": ANN.capabilities})
    viewer = replace(ANN, capabilities=frozenset({Capability.VIEW}))
    for ask in (scene.sessions.session, scene.sessions.describe_session, scene.sessions.explain):
        with pytest.raises(NotFound):
            ask(session.session_id, only_b)
    assert scene.sessions.sessions(only_b) == []
    with pytest.raises(Forbidden):
        scene.sessions.session(session.session_id, viewer)
    assert len(scene.sessions.sessions(viewer)) == 1
    await session.aclose("the viewer left")


async def test_a_join_that_the_end_of_the_service_overtakes_is_refused(scene: Scene) -> None:
    joining = asyncio.get_running_loop().create_task(scene.sessions.answer("a", OFFER, ANN))
    await until(lambda: len(scene.sessions.streams) == 1, pause=0)
    await scene.sessions.drain(5)
    with pytest.raises(Full) as refusal:
        await joining
    assert (refusal.value.code, len(scene.sessions)) == ("draining", 0)
