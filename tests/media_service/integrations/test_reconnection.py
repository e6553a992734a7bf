"""Connections that are tried again and again."""

import asyncio

import pytest
from structlog.testing import capture_logs

from media_service.dependency import DependencyStatus
from media_service.integrations.known_state import KnownState
from media_service.integrations.reconnection import heed_cancellation, keep_connected


class Script:
    """What each attempt does: raises, or returns as a connection that was lost."""

    def __init__(self, *outcomes: BaseException | None) -> None:
        self.told: list[str] = []
        self.attempts = 0
        self._outcomes = outcomes

    async def connect(self) -> None:
        self.attempts += 1
        if self.attempts > len(self._outcomes):
            await asyncio.Event().wait()
        if (outcome := self._outcomes[self.attempts - 1]) is not None:
            raise outcome

    def failed(self, error: BaseException) -> None:
        self.told.append(str(error))


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_service.integrations.reconnection._SHORTEST", 0.001)
    monkeypatch.setattr("media_service.integrations.reconnection._LONGEST", 0.002)


async def ended(script: Script, *, attempts: int) -> BaseException:
    """Cancel it after so many attempts; how it ended."""
    task = asyncio.get_running_loop().create_task(keep_connected(script.connect, script.failed, (OSError,)))
    async with asyncio.timeout(5):
        while script.attempts < attempts and not task.done():
            await asyncio.sleep(0.001)
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    return outcome


async def test_it_goes_on_after_trouble_and_after_a_connection_was_lost() -> None:
    script = Script(OSError("one"), OSError("two"), None, OSError("three"), None)
    outcome = await ended(script, attempts=6)
    assert isinstance(outcome, asyncio.CancelledError)
    assert script.told == ["one", "two", "three"]


async def test_what_nobody_foresaw_is_logged_once_and_tried_again() -> None:
    script = Script(OSError("one"), ValueError("not JSON"), ValueError("not JSON"), None)
    with capture_logs() as lines:
        assert isinstance(await ended(script, attempts=5), asyncio.CancelledError)
    assert script.told == ["one", "not JSON", "not JSON"]
    assert [(line["log_level"], type(line["exc_info"])) for line in lines] == [("error", ValueError)]


async def test_a_cancellation_that_a_library_swallows_is_heeded() -> None:
    waits = asyncio.Event()

    async def swallow() -> None:
        try:
            waits.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    script = Script()
    task = asyncio.get_running_loop().create_task(keep_connected(swallow, script.failed, (OSError,)))
    await waits.wait()
    task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_who_is_not_cancelled_goes_on() -> None:
    heed_cancellation()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(1)
    heed_cancellation()


def test_a_change_of_state_is_one_line_in_the_log() -> None:
    known = KnownState("redis")
    assert known.state.status is DependencyStatus.UNHEALTHY
    with capture_logs() as log:
        known.ill("refused")
        known.ill("refused")
        since = known.state.since
        known.ill("no answer")
        assert (known.state.reason, known.state.since) == ("no answer", since)
        known.well()
        state = known.state
        known.well()
        assert known.state is state
        assert (state.status, state.reason) == (DependencyStatus.HEALTHY, "")
        known.ill("refused")
    assert [line["log_level"] for line in log] == ["warning", "warning", "info", "warning"]
    assert {line["dependency"] for line in log} == {"redis"}
