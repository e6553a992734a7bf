"""Which streams run: each starts with its first user and stops a grace after its last."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from capture.source import Source
from media_service.rtc.egress import Egress
from media_service.rung_encoder import Transcoding
from media_service.stream import Stream, StreamState
from media_service.tasks import Tasks

GRACE = 3.0
"""Seconds that capture goes on without a viewer: a page that is loaded again finds the stream running."""


_REMEMBERED = 100
"""Devices whose last trouble is remembered."""


class _Use:
    """A running stream and how many hold it."""

    __slots__ = ("holders", "stop", "stream", "task")

    def __init__(self, stream: Stream, task: asyncio.Task[None]) -> None:
        self.stream = stream
        self.task = task
        self.holders = 0
        self.stop: asyncio.TimerHandle | None = None


class Streams:
    """The running streams by device."""

    def __init__(
        self,
        tasks: Tasks,
        egress: Egress,
        state_changed: Callable[[Stream], None],
        *,
        grace: float = GRACE,
        transcoding: Transcoding | None = None,
        always_encoded: str = "",
    ) -> None:
        """`transcoding` and `always_encoded` are every `Stream`'s."""
        self._tasks = tasks
        self._egress = egress
        self._state_changed = state_changed
        self._grace = grace
        self._transcoding = transcoding
        self._always_encoded = always_encoded
        self._running: dict[str, _Use] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._troubles: dict[str, str] = {}
        self._ending: set[Stream] = set()

    def __iter__(self) -> Iterator[Stream]:
        return (use.stream for use in self._running.values())

    def __len__(self) -> int:
        return len(self._running)

    @property
    def not_over(self) -> Iterator[Stream]:
        """Those that run and those that are being stopped: what they count is in nobody's totals yet."""
        yield from tuple(self)
        yield from tuple(self._ending)

    def get(self, device_id: str) -> Stream | None:
        """The device's stream while it runs."""
        use = self._running.get(device_id)
        return use.stream if use else None

    def hold(self, device_id: str, open_source: Callable[[], Awaitable[Source]]) -> Stream:
        """The device's stream, started if need be; to be given back by `release`."""
        use = self._running.get(device_id)
        if use is None:
            stream = Stream(
                device_id, open_source, self._egress, self._state_changed, self._transcoding, self._always_encoded
            )
            # Who is refused asks again every few seconds: the same trouble is one line in the log all the same.
            stream.trouble = self._troubles.pop(device_id, "")
            former = self._stopping.get(device_id)
            task = self._tasks.start(self._run(stream, former), f"stream {device_id}")
            use = self._running[device_id] = _Use(stream, task)
        use.holders += 1
        if use.stop is not None:
            use.stop.cancel()
            use.stop = None
        return use.stream

    def release(self, stream: Stream) -> None:
        """Give back what `hold` gave; the last one starts the grace."""
        use = self._running.get(stream.device_id)
        if use is None or use.stream is not stream:
            return
        use.holders -= 1
        if not use.holders:
            use.stop = asyncio.get_running_loop().call_later(self._grace, self._stop, use)

    async def _run(self, stream: Stream, former: asyncio.Task[None] | None) -> None:
        try:
            if former is not None:
                # Two recorders at once may be one too many for the phone.
                await asyncio.wait([former])
            await stream.run()
        finally:
            # A task that crashed leaves a stream that sends nothing; the next user gets a new one.
            use = self._running.get(stream.device_id)
            if use is not None and use.stream is stream:
                del self._running[stream.device_id]
            if stream.state is StreamState.RECONNECTING:
                self._troubles[stream.device_id] = stream.trouble
                if len(self._troubles) > _REMEMBERED:
                    del self._troubles[next(iter(self._troubles))]
            self._ending.discard(stream)
            stream.stopped()

    def _stop(self, use: _Use) -> None:
        device_id = use.stream.device_id
        self._running.pop(device_id, None)
        self._ending.add(use.stream)
        # While a former one still ends this one has not begun, and the next has to wait for the former one too.
        self._stopping.setdefault(device_id, use.task)
        use.task.add_done_callback(lambda task: self._stopped(device_id, task))
        use.task.cancel()

    def _stopped(self, device_id: str, task: asyncio.Task[None]) -> None:
        if self._stopping.get(device_id) is task:
            del self._stopping[device_id]
