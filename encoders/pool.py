"""The threads in which pictures are decoded and coded: PyAV lets go of the interpreter while a codec works.

    put > lane, a bounded queue > its coder, in the lane's worker > take

A **coder** does one thing for one stream (decode it, code one rung of it), one job after the other, so that they keep
their order. Its lane belongs to one **worker**, a thread, which serves its lanes in turn, one job each, so that a busy
stream does not starve its neighbours. A worker that has nothing to do takes over a lane that waits behind a busy one:
nobody knows beforehand what a lane will cost. Threads come with the first job and go with the last lane.

A call that takes too long is stuck, and a call into a C library cannot be ended: its thread is **abandoned**. What the
call returns some day is thrown away, its coder closed and the thread ended. The worker's lanes go on in a new thread at
once, and the stuck one gets a new coder for its next job. One more thread watches for that; it sleeps until the
earliest moment at which a call would be late.

All threads are daemons: one that is stuck for ever must not keep the process from ending. Their owner is the pool, and
`aclose` waits for all but the abandoned ones.
"""

import asyncio
import math
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from encoders.errors import EncoderError

OPENING_TIMEOUT: Final = 5.0
"""Seconds in which a coder has to be made, do its first job, and be closed.

A graphics card takes long for the first encoder, and many can be opened only when the first picture's size is known.
"""

FAILURES: Final = 3
"""Jobs of a lane in a row that may fail or get stuck before the lane gives up."""

_NICENESS: Final = 5

MOST_ABANDONED: Final = 8
"""Threads that may be stuck at once: with so many no lane is opened, and a lane that gets stuck is given up at once."""

Job = TypeVar("Job")
Job_contra = TypeVar("Job_contra", contravariant=True)
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Coder(Protocol[Job_contra, Result_co]):
    """What a lane does with its jobs; made, used and closed in one thread at a time, not always the same."""

    def code(self, job: Job_contra) -> Result_co:
        """The result of `job`. Any exception ends this coder; another one is made for the next job."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


class Lane(Generic[Job]):
    """The jobs of one coder, done in their order; `EncoderPool.open_lane` makes it. For use from any thread.

    Of the jobs that were put each gives a result or is counted in `drops`, once its turn has come.
    """

    def __init__(
        self,
        pool: "EncoderPool",
        worker: "_Worker",
        name: str,
        make: Callable[[], Coder[Job, Any]],
        take: Callable[[Any], None],
        failed: Callable[[Exception], None],
        lost: Callable[[Job, str], None],
        input_limit: int,
    ) -> None:
        self.name = name
        self.input_limit = input_limit
        """Jobs that may wait."""
        self.replaced = 0
        """Coders that were given up and replaced so far, because they failed or got stuck."""
        self.done = 0
        """Jobs that gave a result."""
        self.busy_seconds = 0.0
        """What these took, from the call of `code` to its return."""
        self._pool = pool
        self._worker = worker
        self._make = make
        self._take = take
        self._failed = failed
        self._lost = lost
        self._jobs: deque[Job] = deque()
        self._coder: Coder[Job, Any] | None = None
        self._drops: Counter[str] = Counter()
        self._failures = 0
        self._lacks_coder = False  # one was given up
        self._is_closed = False
        self._is_broken = False
        self._is_ready = False  # waits for its turn
        self._is_served = False  # a thread is at it

    @property
    def waiting(self) -> int:
        """Jobs that wait for their turn."""
        return len(self._jobs)

    @property
    def is_full(self) -> bool:
        """Whether the next job pushes out the oldest one that waits."""
        return len(self._jobs) >= self.input_limit

    @property
    def drops(self) -> Counter[str]:
        """Jobs that gave no result, by reason: `input_full`, `timed_out`, `failed`, `closed`."""
        with self._pool._lock:
            return Counter(self._drops)

    def put(self, job: Job) -> None:
        """Have `job` done after those that wait; when they are too many, the oldest is dropped. Never blocks."""
        self._pool._put(self, job)

    def close(self) -> None:
        """Take nothing more and free the coder, in its worker. A result may come while this is called, none after.

        Idempotent.
        """
        self._pool._close(self)


@dataclass(slots=True, eq=False)
class _Call(Generic[Job]):
    """One turn of a lane: its coder made if it has none, a job done, the coder closed if it has to be."""

    lane: Lane[Job]
    job: Job | None
    is_settled: bool
    """Whether nothing is owed for the job any more."""
    limit: float = math.inf
    """Seconds that what is being done may take; infinite between two things."""
    deadline: float = math.inf
    is_abandoned: bool = False


@dataclass(slots=True, eq=False)
class _Worker:
    """One thread at a time, and the lanes it serves."""

    name: str
    wake: threading.Condition
    lanes: set[Lane[Any]] = field(default_factory=set)
    ready: deque[Lane[Any]] = field(default_factory=deque)
    thread: threading.Thread | None = None
    call: _Call[Any] | None = None


_Loss = tuple[Lane[Any], list[Any], str]
"""Jobs of a lane that were dropped, and why."""


@dataclass(frozen=True, slots=True)
class PoolCounters:
    """What all lanes did so far, closed ones too: none of these ever falls."""

    done: int
    """Jobs that gave a result."""
    busy_seconds: float
    """What these took."""
    replaced: int
    """Coders that failed or got stuck."""
    drops: Counter[str]
    """As `Lane.drops`."""


class EncoderPool:
    """The workers of one process. To be used from any thread, and closed by its owner."""

    def __init__(
        self, *, workers: int | None, input_limit: int, timeout: float, opening_timeout: float = OPENING_TIMEOUT
    ) -> None:
        """`workers` threads, or with None one for each lane.

        `input_limit` jobs may wait in each lane. A call of `Coder.code` may take `timeout` seconds, but each coder's
        first one, as its making and closing, `opening_timeout` if that is more. Raises ValueError for values that
        cannot be.
        """
        if workers is not None and workers < 1:
            raise ValueError(f"workers is {workers}: it must be 1 or more, or None for one per lane")
        if input_limit < 1:
            raise ValueError(f"input_limit is {input_limit}: it must be 1 or more")
        if not (0 < timeout < math.inf and 0 < opening_timeout < math.inf):
            raise ValueError(f"timeouts are {timeout} and {opening_timeout} seconds: both must be above 0")
        self.input_limit = input_limit
        self.timeout = timeout
        self.opening_timeout = max(timeout, opening_timeout)
        self._limit = workers
        self._is_shared = workers is not None
        # One lock for everything: nothing is done under it that takes long.
        self._lock = threading.Lock()
        self._watch = threading.Condition(self._lock)
        self._watcher: threading.Thread | None = None
        self._watches_until = -math.inf
        self._workers: list[_Worker] = []
        self._started = 0
        self._abandoned = 0
        self._done = 0
        self._busy_seconds = 0.0
        self._replaced = 0
        self._drops: Counter[str] = Counter()
        self._ending: list[threading.Thread] = []
        self._is_closed = False
        self._ended: Future[None] = Future()
        self._ended.set_running_or_notify_cancel()  # so that who waits for it cannot cancel it

    @property
    def lanes(self) -> tuple[Lane[Any], ...]:
        """Those that are open."""
        with self._lock:
            return tuple(lane for worker in self._workers for lane in worker.lanes)

    @property
    def counters(self) -> PoolCounters:
        """A snapshot."""
        with self._lock:
            return PoolCounters(self._done, self._busy_seconds, self._replaced, Counter(self._drops))

    @property
    def workers(self) -> int:
        """Workers that have lanes."""
        return len(self._workers)

    @property
    def abandoned(self) -> int:
        """Threads that are stuck now in a call that nobody waits for any more."""
        return self._abandoned

    def open_lane(
        self,
        name: str,
        make: Callable[[], Coder[Job, Result]],
        take: Callable[[Result], None],
        failed: Callable[[Exception], None],
        *,
        lost: Callable[[Job, str], None] | None = None,
        input_limit: int | None = None,
    ) -> Lane[Job]:
        """A lane, for the time being of the worker that has the fewest.

        `make` is called for the first job, and for the next one after a coder was given up. `take` gets the results in
        the order of the jobs. `failed` is called once, when the lane takes nothing more since jobs failed again and
        again. `lost` gets each job that is dropped, with the reason as in `Lane.drops`. All are called in threads of
        the pool (`lost` also in the caller's, of `put` and `close`) and must neither block nor raise. `input_limit`
        replaces the pool's own.

        Raises `EncoderError` when too many threads are stuck, and after `aclose`.
        """
        if input_limit is not None and input_limit < 1:
            raise ValueError(f"input_limit is {input_limit}: it must be 1 or more")
        with self._lock:
            if self._is_closed:
                raise EncoderError(f"{name}: the encoder pool is closed")
            if self._abandoned >= MOST_ABANDONED:
                raise EncoderError(f"{name}: no encoder is started while {self._abandoned} threads are stuck in one")
            worker = self._least_loaded()
            lane = Lane(self, worker, name, make, take, failed, lost or _ignore, input_limit or self.input_limit)
            worker.lanes.add(lane)
        return lane

    async def aclose(self) -> None:
        """Close all lanes, and wait until their threads have ended, except those that are stuck. Idempotent."""
        with self._lock:
            self._is_closed = True
            lanes = [lane for worker in self._workers for lane in worker.lanes]
        for lane in lanes:
            self._close(lane)
        watcher = self._watcher
        if watcher is not None:
            await asyncio.wrap_future(self._ended)
            watcher.join()

    # From any thread

    def _put(self, lane: Lane[Job], job: Job) -> None:
        with self._lock:
            if lane._is_closed or lane._is_broken:
                loss = self._drop(lane, [job], "closed" if lane._is_closed else "failed")
            else:
                loss = self._drop(lane, [lane._jobs.popleft()] if lane.is_full else [], "input_full")
                lane._jobs.append(job)
                self._schedule(lane)
        _tell([loss])

    def _close(self, lane: Lane[Any]) -> None:
        with self._lock:
            if lane._is_closed:
                return
            lane._is_closed = True
            loss = self._drop_waiting(lane, "closed")
            if lane._coder is not None:
                self._schedule(lane)
            elif not lane._is_served:
                self._detach(lane)
        _tell([loss])

    # Under the lock

    def _least_loaded(self) -> _Worker:
        if self._limit is None or len(self._workers) < self._limit:
            self._started += 1
            worker = _Worker(f"encoder-{self._started}", threading.Condition(self._lock))
            self._workers.append(worker)
            return worker
        return min(self._workers, key=lambda worker: (len(worker.lanes), len(worker.ready)))

    def _schedule(self, lane: Lane[Any]) -> None:
        """Have the lane's worker see to it, when its turn comes."""
        if lane._is_served:
            return
        if not lane._is_ready:
            if self._is_shared and (lane._worker.call is not None or lane._worker.ready):
                idle = (worker for worker in self._workers if worker.call is None and not worker.ready)
                self._move(lane, next(idle, lane._worker))
            lane._is_ready = True
            lane._worker.ready.append(lane)
        worker = lane._worker
        if worker.thread is None:
            self._start(worker)
        else:
            worker.wake.notify()

    def _start(self, worker: _Worker) -> None:
        thread = threading.Thread(target=self._work, args=(worker,), name=worker.name, daemon=True)
        thread.start()
        worker.thread = thread
        if self._watcher is None:
            watcher = threading.Thread(target=self._watch_calls, name="encoder-watch", daemon=True)
            watcher.start()
            self._watcher = watcher

    def _move(self, lane: Lane[Any], worker: _Worker) -> None:
        """Make a lane another worker's. It never was the last one of its own: that one is busy with another."""
        lane._worker.lanes.discard(lane)
        lane._worker = worker
        worker.lanes.add(lane)

    def _take_over(self, worker: _Worker) -> None:
        """Have an idle worker serve the lane that waits behind the busiest one."""
        if self._is_shared and worker.lanes:
            busy = [other for other in self._workers if other.ready and other.call is not None]
            if busy:
                lane = max(busy, key=lambda other: len(other.ready)).ready.popleft()
                self._move(lane, worker)
                worker.ready.append(lane)

    def _detach(self, lane: Lane[Any]) -> None:
        """Forget a lane that has no coder and gets none; its worker ends with the last one."""
        worker = lane._worker
        worker.lanes.discard(lane)
        if lane._is_ready:
            lane._is_ready = False
            worker.ready.remove(lane)
        if not worker.lanes and worker in self._workers:
            self._workers.remove(worker)
            if worker.thread is not None:
                self._ending.append(worker.thread)
            worker.wake.notify()
            self._watch.notify()

    def _drop(self, lane: Lane[Any], jobs: list[Any], reason: str) -> _Loss:
        if jobs:
            lane._drops[reason] += len(jobs)
            self._drops[reason] += len(jobs)
        return lane, jobs, reason

    def _drop_waiting(self, lane: Lane[Any], reason: str) -> _Loss:
        jobs = list(lane._jobs)
        lane._jobs.clear()
        return self._drop(lane, jobs, reason)

    def _expect(self, call: _Call[Any], limit: float) -> bool:
        """The call has `limit` seconds from now on; False when it was abandoned meanwhile."""
        if call.is_abandoned:
            return False
        call.limit = limit
        call.deadline = time.monotonic() + limit
        if call.deadline < self._watches_until:
            self._watch.notify()
        return True

    def _give_up(self, lane: Lane[Any]) -> None:
        """The lane's coder failed or is stuck; the lane is broken when that happens too often."""
        lane._coder = None
        lane._lacks_coder = True
        lane._failures += 1
        if lane._failures >= FAILURES or self._abandoned >= MOST_ABANDONED:
            lane._is_broken = True

    # In a worker's thread

    def _work(self, worker: _Worker) -> None:
        _give_way()
        while self._take_turn(worker):
            pass

    def _take_turn(self, worker: _Worker) -> bool:
        """Wait for a lane whose turn it is, and serve it; False when the thread has to end.

        A method of its own, so that nothing of the last turn is kept alive while the worker waits.
        """
        call = self._next(worker)
        if call is None:
            return False
        lane = call.lane
        coder: Coder[Any, Any] | None = lane._coder
        try:
            if not call.is_settled:
                is_new = coder is None
                if coder is None:
                    coder = self._opened(call)
                self._code(call, coder, self.opening_timeout if is_new else self.timeout)
        except Exception as error:  # whatever a codec raises, the worker has other lanes to serve
            self._fail(call, error)
        with self._lock:
            is_over = call.is_abandoned or lane._coder is not coder or lane._is_closed
            if is_over and not call.is_abandoned:
                lane._coder = None
                self._expect(call, self.opening_timeout)
        if is_over and coder is not None:
            try:
                coder.close()
            except Exception:  # it is given up anyway, and what broke it has been told
                pass
        with self._lock:
            if call.is_abandoned:
                self._abandoned -= 1
                return False
            worker.call = None
            self._leave(lane)
            return True

    def _next(self, worker: _Worker) -> _Call[Any] | None:
        """Wait for the next turn; None when the worker has no lanes any more."""
        with self._lock:
            while not worker.ready:
                self._take_over(worker)
                if worker.ready:
                    break
                if not worker.lanes:
                    return None
                worker.wake.wait()
            lane = worker.ready.popleft()
            lane._is_ready, lane._is_served = False, True
            has_job = bool(lane._jobs)
            worker.call = _Call(lane, lane._jobs.popleft() if has_job else None, is_settled=not has_job)
            return worker.call

    def _opened(self, call: _Call[Any]) -> Coder[Any, Any]:
        """A new coder; the lane's, unless it came too late."""
        lane = call.lane
        with self._lock:
            self._expect(call, self.opening_timeout)
            lane.replaced += lane._lacks_coder
            self._replaced += lane._lacks_coder
            lane._lacks_coder = False
        coder = lane._make()
        with self._lock:
            if not call.is_abandoned:
                lane._coder = coder
        return coder

    def _code(self, call: _Call[Any], coder: Coder[Any, Any], limit: float) -> None:
        lane = call.lane
        with self._lock:
            if not self._expect(call, limit):
                return
        begin = time.perf_counter()
        result = coder.code(call.job)
        taken = time.perf_counter() - begin
        loss = None
        with self._lock:
            if call.is_abandoned:
                return
            call.is_settled = True
            call.deadline = math.inf
            if lane._is_closed:
                loss = self._drop(lane, [call.job], "closed")
            else:
                lane.done += 1
                lane.busy_seconds += taken
                self._done += 1
                self._busy_seconds += taken
        if loss is None:
            lane._take(result)
            lane._failures = 0
        else:
            _tell([loss])

    def _fail(self, call: _Call[Any], error: Exception) -> None:
        lane, losses = call.lane, []
        with self._lock:
            if call.is_abandoned:
                return
            if not call.is_settled:
                losses.append(self._drop(lane, [call.job], "closed" if lane._is_closed else "failed"))
            call.is_settled = True
            call.deadline = math.inf
            self._give_up(lane)
            if lane._is_broken:
                losses.append(self._drop_waiting(lane, "failed"))
            is_told = lane._is_broken and not lane._is_closed
        _tell(losses)
        if is_told:
            lane._failed(error)

    # Under the lock

    def _leave(self, lane: Lane[Any]) -> None:
        """A lane's turn is over: it waits for the next one, or is through."""
        lane._is_served = False
        if lane._is_closed or lane._is_broken:
            if lane._coder is None:
                self._detach(lane)
            else:
                self._schedule(lane)
        elif lane._jobs:
            self._schedule(lane)

    def _abandon(self, worker: _Worker, call: _Call[Any]) -> tuple[list[_Loss], EncoderError | None]:
        """Leave the worker's thread to its call; what was lost by it, and why its lane is given up, if it is."""
        lane = call.lane
        losses = []
        is_owed = not call.is_settled
        call.is_abandoned = call.is_settled = True
        worker.call = worker.thread = None
        if is_owed:
            losses.append(self._drop(lane, [call.job], "timed_out"))
            self._give_up(lane)
            if lane._is_broken:
                losses.append(self._drop_waiting(lane, "failed"))
        lane._coder = None
        self._abandoned += 1
        is_told = is_owed and lane._is_broken and not lane._is_closed
        self._leave(lane)
        if worker.ready and worker.thread is None:
            self._start(worker)
        error = EncoderError(f"{lane.name}: no answer within {call.limit:g} s")
        return losses, error if is_told else None

    # In the thread that watches

    def _watch_calls(self) -> None:
        while self._watch_once():
            pass

    def _watch_once(self) -> bool:
        """Abandon what is late, or sleep until something may be; False when there is nothing to watch any more."""
        with self._lock:
            now = time.monotonic()
            calls = [(worker, worker.call) for worker in self._workers]
            late = [(worker, call) for worker, call in calls if call is not None and call.deadline <= now]
            abandonments = [(call.lane, *self._abandon(worker, call)) for worker, call in late]
            ended, self._ending = self._ending, []
            if not abandonments and not ended:
                if not self._workers:
                    self._watcher = None
                    if self._is_closed:
                        self._ended.set_result(None)
                    return False
                self._sleep(now)
        for thread in ended:
            thread.join()
        for lane, losses, error in abandonments:
            _tell(losses)
            if error is not None:
                lane._failed(error)
        return True

    def _sleep(self, now: float) -> None:
        calls = (worker.call for worker in self._workers)
        self._watches_until = min((call.deadline for call in calls if call is not None), default=math.inf)
        self._watch.wait(None if self._watches_until == math.inf else self._watches_until - now)
        self._watches_until = -math.inf


def _give_way() -> None:
    """Have this thread come after others where a core is short: a picture may be late, everybody's packets may not."""
    if sys.platform == "linux":  # where it is the thread's own priority and not the process's
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _ignore(job: object, reason: str) -> None:
    pass


def _tell(losses: list[_Loss]) -> None:
    """Not under the lock: who is told may put the next job."""
    for lane, jobs, reason in losses:
        for job in jobs:
            lane._lost(job, reason)
