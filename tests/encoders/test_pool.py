"""The pool: order, fairness, bounded queues that say what they dropped, and coders that fail or never return."""

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from encoders.errors import EncoderError
from encoders.pool import FAILURES, MOST_ABANDONED, EncoderPool, Lane
from tests.waiting import until

TIMEOUT = 0.2
"""Seconds after which a call is stuck, where a test is about that."""
PATIENT = 30.0
"""The same, where it is not."""


@dataclass
class Stage:
    """What the coders of a lane do, as a test directs, and what came of it."""

    gate: threading.Event = field(default_factory=threading.Event)
    """Coders wait for it with the jobs named in `slow`."""
    slow: frozenset[int] = frozenset()
    broken: frozenset[int] = frozenset()
    lasts: int | None = None
    """Jobs after which each coder fails."""
    made: int = 0
    closed: int = 0
    begun: list[int] = field(default_factory=list)
    results: list[int] = field(default_factory=list)
    lost: list[tuple[int, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def open(self, pool: EncoderPool, name: str = "lane", *, input_limit: int | None = None) -> Lane[int]:
        return pool.open_lane(
            name,
            self.make,
            self.results.append,
            lambda error: self.failures.append(str(error)),
            lost=lambda job, reason: self.lost.append((job, reason)),
            input_limit=input_limit,
        )

    def make(self) -> "StagedCoder":
        self.made += 1
        return StagedCoder(self)


class StagedCoder:
    """Gives each job back."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.is_free = True
        self.jobs_left = stage.lasts

    def code(self, job: int) -> int:
        assert self.is_free
        self.is_free = False
        self.stage.threads.add(threading.current_thread().name)
        self.stage.begun.append(job)
        if job in self.stage.slow:
            self.stage.gate.wait()
        if job in self.stage.broken or self.jobs_left == 0:
            raise ValueError(f"job {job} is broken")
        if self.jobs_left is not None:
            self.jobs_left -= 1
        self.is_free = True
        return job

    def close(self) -> None:
        self.stage.closed += 1


def pool_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("encoder-")]


@pytest.fixture
async def pool() -> AsyncIterator[EncoderPool]:
    pool = EncoderPool(workers=2, input_limit=1000, timeout=PATIENT)
    yield pool
    await pool.aclose()
    assert pool_threads() == []


@pytest.fixture
async def impatient() -> AsyncIterator[EncoderPool]:
    """One worker, and calls that are soon late."""
    pool = EncoderPool(workers=1, input_limit=100, timeout=TIMEOUT, opening_timeout=TIMEOUT)
    yield pool
    await pool.aclose()
    await until(lambda: pool_threads() == [])
    assert pool.abandoned == 0


# Order and fairness


async def test_results_come_in_the_order_of_the_jobs(pool: EncoderPool) -> None:
    stages = [Stage() for _ in range(6)]
    lanes = [stage.open(pool) for stage in stages]
    for job in range(200):
        for lane in lanes:
            lane.put(job)
    await until(lambda: all(lane.done == 200 for lane in lanes))
    for stage, lane in zip(stages, lanes, strict=True):
        assert stage.results == list(range(200))
        assert (stage.made, stage.lost, lane.replaced) == (1, [], 0)
        assert lane.drops == Counter()
    assert len({name for stage in stages for name in stage.threads}) == 2


async def test_jobs_that_many_threads_put_are_all_done_each_threads_in_order(pool: EncoderPool) -> None:
    stage = Stage()
    lane = stage.open(pool, input_limit=100_000)

    def put(start: int) -> None:
        for job in range(start, start + 500):
            lane.put(job)

    threads = [threading.Thread(target=put, args=(1000 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    await until(lambda: lane.done == 4000)
    for number in range(8):
        mine = [job for job in stage.results if job // 1000 == number]
        assert mine == list(range(1000 * number, 1000 * number + 500))


async def test_a_worker_serves_its_lanes_in_turn() -> None:
    pool = EncoderPool(workers=1, input_limit=100, timeout=PATIENT)
    order: list[str] = []
    gate = threading.Event()
    lanes = []
    for name in "abc":

        class Coder:
            def __init__(self, name: str = name) -> None:
                self.name = name

            def code(self, job: int) -> int:
                gate.wait()
                order.append(self.name)
                return job

            def close(self) -> None:
                pass

        lanes.append(pool.open_lane(name, Coder, lambda _: None, lambda _: None))
    for _ in range(50):
        lanes[0].put(1)
    await until(lambda: lanes[0].waiting == 49)
    for lane in lanes[1:]:
        for _ in range(5):
            lane.put(1)
    gate.set()
    await until(lambda: len(order) == 60)
    assert "".join(order[:16]) in {"abca" + "bca" * 4, "aabcabcabcabcabc"}
    assert set(order[16:]) == {"a"}
    await pool.aclose()


@pytest.mark.parametrize("blocked", range(4))
async def test_nothing_waits_behind_a_busy_worker_while_another_is_idle(pool: EncoderPool, blocked: int) -> None:
    stages = [Stage(slow=frozenset({-1})) for _ in range(4)]
    lanes = [stage.open(pool) for stage in stages]
    lanes[blocked].put(-1)
    await until(lambda: stages[blocked].begun)
    for job in range(50):
        for lane in lanes:
            lane.put(job)
    others = [stage for number, stage in enumerate(stages) if number != blocked]
    await until(lambda: all(stage.results == list(range(50)) for stage in others))
    assert len({name for stage in others for name in stage.threads}) == 1
    assert stages[blocked].results == []
    stages[blocked].gate.set()
    await until(lambda: stages[blocked].results == [-1, *range(50)])
    assert pool.workers == 2


async def test_a_worker_that_gets_free_takes_over_what_waits(pool: EncoderPool) -> None:
    stages = [Stage(slow=frozenset({-1})) for _ in range(4)]
    lanes = [stage.open(pool) for stage in stages]
    for lane in lanes[:2]:
        lane.put(-1)
    await until(lambda: stages[0].begun and stages[1].begun)
    for lane in lanes[2:]:
        lane.put(1)
    assert [stage.begun for stage in stages[2:]] == [[], []]
    stages[1].gate.set()
    await until(lambda: [stage.results for stage in stages[1:]] == [[-1], [1], [1]])
    stages[0].gate.set()
    await until(lambda: stages[0].results == [-1])


async def test_without_a_number_of_workers_each_lane_has_its_own() -> None:
    pool = EncoderPool(workers=None, input_limit=10, timeout=PATIENT)
    stages = [Stage() for _ in range(5)]
    lanes = [stage.open(pool) for stage in stages]
    assert pool_threads() == []
    for lane in lanes:
        lane.put(1)
    await until(lambda: all(stage.results for stage in stages))
    assert len({name for stage in stages for name in stage.threads}) == 5
    for lane in lanes[:4]:
        lane.close()
    await until(lambda: pool.workers == 1)
    await until(lambda: len(pool_threads()) == 2)  # and the one that watches
    await pool.aclose()
    assert pool_threads() == []


# Bounds


async def test_the_oldest_job_makes_room(pool: EncoderPool) -> None:
    stage = Stage(slow=frozenset({0}))
    lane = stage.open(pool, input_limit=3)
    lane.put(0)
    await until(lambda: stage.begun == [0])
    for job in range(1, 4):
        lane.put(job)
    assert (lane.is_full, lane.waiting, lane.input_limit) == (True, 3, 3)
    for job in range(4, 9):
        lane.put(job)
    assert lane.drops == {"input_full": 5}
    assert stage.lost == [(job, "input_full") for job in range(1, 6)]
    stage.gate.set()
    await until(lambda: lane.done == 4)
    assert stage.results == [0, 6, 7, 8]
    assert (lane.is_full, lane.waiting) == (False, 0)
    assert lane.busy_seconds > 0


async def test_every_job_is_a_result_or_a_drop(pool: EncoderPool) -> None:
    stage = Stage(lasts=6)
    lane = stage.open(pool, input_limit=20)
    for job in range(3000):
        lane.put(job)
        if job % 40 == 0:
            await asyncio.sleep(0)
    await until(lambda: lane.waiting == 0 and lane.done + lane.drops.total() == 3000)
    assert stage.results == sorted(stage.results)
    assert Counter(reason for _, reason in stage.lost) == lane.drops
    assert {job for job, _ in stage.lost}.isdisjoint(stage.results)
    assert lane.drops["failed"] >= lane.done // 6 - 1
    assert lane.replaced == stage.made - 1
    assert lane.drops["failed"] - lane.replaced in (0, 1), "the last failure is made good with the next job"


@pytest.mark.parametrize(
    ("workers", "input_limit", "timeout", "message"),
    [
        (0, 1, 1.0, "workers is 0: it must be 1 or more, or None"),
        (1, 0, 1.0, "input_limit is 0: it must be 1 or more"),
        (1, 1, 0.0, "timeouts are 0.0 and 5.0 seconds"),
        (1, 1, float("nan"), "timeouts are nan"),
    ],
)
def test_settings_that_cannot_be(workers: int, input_limit: int, timeout: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EncoderPool(workers=workers, input_limit=input_limit, timeout=timeout)


def test_a_lanes_own_limit_must_be_possible() -> None:
    with pytest.raises(ValueError, match="input_limit is 0"):
        Stage().open(EncoderPool(workers=1, input_limit=1, timeout=1.0), input_limit=0)


# Coders that fail


async def test_a_coder_that_fails_is_replaced(pool: EncoderPool) -> None:
    stage = Stage(broken=frozenset({2, 5, 6}))
    lane = stage.open(pool)
    for job in range(9):
        lane.put(job)
    await until(lambda: lane.done == 6)
    assert stage.results == [0, 1, 3, 4, 7, 8]
    assert stage.lost == [(job, "failed") for job in (2, 5, 6)]
    assert (stage.made, stage.closed, lane.replaced) == (4, 3, 3)
    assert stage.failures == []


async def test_what_closed_lanes_did_still_counts(pool: EncoderPool) -> None:
    lanes = [Stage(broken=frozenset({2, 5})).open(pool) for _ in range(2)]
    for lane in lanes:
        for job in range(7):
            lane.put(job)
    await until(lambda: [lane.done for lane in lanes] == [5, 5])
    for lane in lanes:
        lane.close()
    await until(lambda: not pool.lanes)
    counters = pool.counters
    assert (counters.done, counters.replaced, counters.drops) == (10, 4, {"failed": 4})
    assert counters.busy_seconds > 0


async def test_a_lane_gives_up_after_three_failures_in_a_row(pool: EncoderPool) -> None:
    stage = Stage(broken=frozenset({1, 3, 4, 5}), slow=frozenset({0}))
    lane = stage.open(pool)
    for job in range(9):
        lane.put(job)
    stage.gate.set()
    await until(lambda: stage.failures)
    assert stage.failures == ["job 5 is broken"]
    lane.put(10)
    assert stage.results == [0, 2]
    assert lane.drops == {"failed": 8}
    assert [job for job, _ in stage.lost] == [1, 3, 4, 5, 6, 7, 8, 10]
    assert stage.made == stage.closed == 4
    lane.close()
    lane.put(11)
    assert lane.drops == {"failed": 8, "closed": 1}


async def test_a_coder_that_cannot_be_made(pool: EncoderPool) -> None:
    errors: list[Exception] = []

    def make() -> StagedCoder:
        raise EncoderError("no such encoder")

    lane = pool.open_lane("lane", make, lambda _: None, errors.append)
    for job in range(5):
        lane.put(job)
    await until(lambda: lane.drops["failed"] == 5)
    assert [str(error) for error in errors] == ["no such encoder"]


async def test_a_coder_that_fails_while_it_is_closed_harms_nobody(pool: EncoderPool) -> None:
    class Unclosable:
        def code(self, job: int) -> int:
            return job

        def close(self) -> None:
            raise OSError("no")

    lane = pool.open_lane("lane", Unclosable, lambda _: None, lambda _: None)
    lane.put(1)
    await until(lambda: lane.done == 1)
    lane.close()
    await until(lambda: pool.workers == 0)


# Coders that are stuck


async def test_a_stuck_coder_is_replaced_and_the_others_go_on(impatient: EncoderPool) -> None:
    stuck, other = Stage(slow=frozenset({1})), Stage()
    lane, other_lane = stuck.open(impatient), other.open(impatient)
    for job in range(4):
        lane.put(job)
    await until(lambda: stuck.begun == [0, 1])
    for job in range(4):
        other_lane.put(job)
    await until(lambda: stuck.results == [0, 2, 3])
    await until(lambda: other.results == [0, 1, 2, 3])
    assert impatient.abandoned == 1
    assert lane.drops == {"timed_out": 1}
    assert stuck.lost == [(1, "timed_out")]
    assert (stuck.made, stuck.closed, lane.replaced) == (2, 0, 1)
    stuck.gate.set()
    await until(lambda: impatient.abandoned == 0)
    assert (stuck.results, stuck.closed) == ([0, 2, 3], 1)
    assert (lane.done, other_lane.done, other_lane.replaced) == (3, 4, 0)
    lane.put(4)
    await until(lambda: stuck.results == [0, 2, 3, 4])
    assert stuck.made == 2


async def test_a_lane_that_is_stuck_again_and_again_gives_up(impatient: EncoderPool) -> None:
    stage = Stage(slow=frozenset(range(10)))
    lane = stage.open(impatient)
    for job in range(10):
        lane.put(job)
    await until(lambda: stage.failures)
    assert stage.failures == [f"lane: no answer within {TIMEOUT:g} s"]
    assert lane.drops == {"timed_out": FAILURES, "failed": 10 - FAILURES}
    assert impatient.abandoned == FAILURES
    stage.gate.set()
    await until(lambda: stage.closed == FAILURES)
    assert stage.results == []


async def test_a_coder_that_is_stuck_in_its_making_is_closed_when_it_comes(impatient: EncoderPool) -> None:
    stage, gate = Stage(), threading.Event()

    def make() -> StagedCoder:
        coder = stage.make()
        if stage.made == 1:
            gate.wait()
        return coder

    lane = impatient.open_lane("lane", make, stage.results.append, lambda _: None)
    lane.put(1)
    await until(lambda: lane.drops == {"timed_out": 1})
    lane.put(2)
    await until(lambda: stage.results == [2])
    gate.set()
    await until(lambda: stage.closed == 1)
    lane.put(3)
    await until(lambda: stage.results == [2, 3])
    assert stage.made == 2


async def test_no_lane_is_opened_while_too_many_threads_are_stuck() -> None:
    pool = EncoderPool(workers=5, input_limit=10, timeout=TIMEOUT, opening_timeout=TIMEOUT)
    gate = threading.Event()
    stages = [Stage(gate=gate, slow=frozenset(range(3))) for _ in range(5)]
    lanes = [stage.open(pool) for stage in stages]
    healthy = Stage()
    healthy_lane = healthy.open(pool)
    for lane in lanes:
        for job in range(3):
            lane.put(job)
    await until(lambda: all(stage.failures for stage in stages))
    # Three for each lane would be fifteen: past the bound a lane is given up at once.
    assert MOST_ABANDONED <= pool.abandoned <= MOST_ABANDONED + len(stages)
    with pytest.raises(EncoderError, match=r"new: no encoder is started while \d+ threads are stuck in one"):
        Stage().open(pool, "new")
    healthy_lane.put(1)
    await until(lambda: healthy.results == [1])
    gate.set()
    await until(lambda: pool.abandoned == 0)
    new = Stage()
    new.open(pool, "new").put(1)
    await until(lambda: new.results == [1])
    await pool.aclose()


async def test_the_first_job_of_a_coder_may_take_longer() -> None:
    pool = EncoderPool(workers=1, input_limit=10, timeout=0.001, opening_timeout=PATIENT)
    stage = Stage(slow=frozenset({0, 1}))
    lane = stage.open(pool)
    lane.put(0)
    await until(lambda: stage.begun == [0])
    other_made = threading.Event()
    threading.Timer(20 * 0.001, other_made.set).start()
    await asyncio.to_thread(other_made.wait)
    stage.gate.set()
    await until(lambda: stage.results == [0])
    stage.gate.clear()
    lane.put(1)
    await until(lambda: lane.drops == {"timed_out": 1})
    stage.gate.set()
    await pool.aclose()
    await until(lambda: pool.abandoned == 0)


# The end


async def test_closing_while_a_job_is_done(pool: EncoderPool) -> None:
    stage = Stage(slow=frozenset({0}))
    lane = stage.open(pool)
    for job in range(3):
        lane.put(job)
    await until(lambda: stage.begun == [0])
    lane.close()
    lane.close()
    lane.put(3)
    assert lane.drops == {"closed": 3}
    stage.gate.set()
    await until(lambda: stage.closed == 1)
    assert lane.drops == {"closed": 4}
    assert stage.lost == [(1, "closed"), (2, "closed"), (3, "closed"), (0, "closed")]
    assert (stage.results, stage.begun, stage.failures) == ([], [0], [])


async def test_closing_in_the_middle_of_a_result(pool: EncoderPool) -> None:
    stage = Stage()

    def take(result: int) -> None:
        stage.results.append(result)
        lane.close()

    lane = pool.open_lane("lane", stage.make, take, lambda _: None)
    for job in range(3):
        lane.put(job)
    await until(lambda: stage.closed == 1)
    assert len(stage.results) == 1
    assert lane.drops == {"closed": 2}


async def test_the_pools_end_waits_for_the_threads() -> None:
    pool = EncoderPool(workers=2, input_limit=10, timeout=PATIENT)
    stages = [Stage(slow=frozenset({0})) for _ in range(3)]
    for stage in stages:
        stage.open(pool).put(0)
    await until(lambda: sum(len(stage.begun) for stage in stages) == 2)
    ends = [asyncio.get_running_loop().create_task(pool.aclose()) for _ in range(2)]
    await until(lambda: pool.workers == 2 and len(pool.lanes) == 2)
    assert not any(end.done() for end in ends)
    for stage in stages:
        stage.gate.set()
    await asyncio.gather(*ends)
    assert pool_threads() == []
    assert [stage.closed for stage in stages] == [1, 1, 0]
    await pool.aclose()
    with pytest.raises(EncoderError, match="late: the encoder pool is closed"):
        Stage().open(pool, "late")


async def test_the_end_of_a_pool_that_never_worked() -> None:
    pool = EncoderPool(workers=2, input_limit=10, timeout=PATIENT)
    Stage().open(pool)
    await pool.aclose()
    assert (pool.workers, pool.lanes) == (0, ())


async def test_the_pools_end_does_not_wait_for_a_stuck_thread(impatient: EncoderPool) -> None:
    stage = Stage(slow=frozenset({0}))
    lane = stage.open(impatient)
    lane.put(0)
    await until(lambda: stage.begun == [0])
    await impatient.aclose()
    assert impatient.abandoned == 1
    assert lane.drops == {"timed_out": 1}
    stage.gate.set()


STUCK_FOR_EVER = """
import asyncio, threading
from encoders.pool import EncoderPool
begun = threading.Event()
class Stuck:
    def code(self, job):
        begun.set()
        threading.Event().wait()
    def close(self):
        pass
async def main():
    pool = EncoderPool(workers=1, input_limit=1, timeout=0.05, opening_timeout=0.05)
    pool.open_lane("stuck", Stuck, print, print).put(1)
    await asyncio.to_thread(begun.wait)
    await pool.aclose()
    print("closed", pool.abandoned)
asyncio.run(main())
"""


def test_the_process_ends_although_a_thread_is_stuck() -> None:
    ended = subprocess.run([sys.executable, "-c", STUCK_FOR_EVER], capture_output=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"closed 1\n", b"")


async def test_what_takes_results_may_fail_without_harm_to_others(pool: EncoderPool) -> None:
    stage, errors = Stage(), list[Exception]()

    def take(result: int) -> None:
        raise ZeroDivisionError("a fault of ours")

    lane = pool.open_lane("lane", stage.make, take, errors.append)
    for job in range(5):
        lane.put(job)
    await until(lambda: errors)
    assert [str(error) for error in errors] == ["a fault of ours"]
    assert (lane.done, lane.drops) == (3, {"failed": 2})
