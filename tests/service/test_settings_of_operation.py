"""Settings that say how the service is called, what it writes and what it measures of itself."""

import asyncio
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from media_service.app import serve
from tests.fixtures.adb import RunningAdb
from tests.fixtures.service import metric, running_service
from tests.fixtures.trace_collector import Collector
from tests.service.outside import PICTURES, ask, join, settings

pytestmark = pytest.mark.adb


async def test_the_name_is_told(adb_server: RunningAdb) -> None:
    async with serve(settings(adb_server, service_name="media-7"), sources={}, demo=False) as serving:
        assert (await ask(serving.address, "health")).json["service"] == "media-7"


def test_a_small_log_file_is_put_aside_and_few_are_kept(adb_server: RunningAdb, tmp_path: Path) -> None:
    environment = {
        "ANDROID_ADB_SERVER_PORT": str(adb_server.port),
        "SERVICE_NAME": "media-7",
        "ENABLE_FILE_LOGGING": "true",
        "LOG_FILE": str(tmp_path / "app.log"),
        "LOG_FILE_MAX_BYTES": "200",  # A line has more: each has a file of its own.
        "LOG_FILE_BACKUPS": "1",
    }
    with running_service([], environment, tmp_path) as service:
        pass
    lines = [line for line in service.log if line.startswith("{")]
    assert len(lines) > 2
    assert {json.loads(line)["service"] for line in lines} == {"media-7"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.log", "app.log.1"]
    assert [(tmp_path / name).read_text() for name in ("app.log.1", "app.log")] == [f"{line}\n" for line in lines[-2:]]


def test_only_trouble_is_logged_and_no_file_written(adb_server: RunningAdb, tmp_path: Path) -> None:
    environment = {
        "ANDROID_ADB_SERVER_PORT": str(adb_server.port),
        "LOG_LEVEL": "error",
        "ENABLE_FILE_LOGGING": "false",
        "LOG_FILE": str(tmp_path / "app.log"),
    }
    with running_service([], environment, tmp_path) as service:
        pass
    assert [line for line in service.log if not line.startswith("Open ")] == []
    assert list(tmp_path.iterdir()) == []


async def test_memory_and_cpu_are_measured_as_often_as_is_wanted(adb_server: RunningAdb) -> None:
    often = settings(adb_server, resource_monitor_interval="50ms")
    async with serve(often, sources={}, demo=False) as serving:
        # What two measurements make, of which the second would come after ten seconds.
        async with asyncio.timeout(5):
            while not await metric(serving.address, "media_service_cpu_percent"):
                pass
        assert await metric(serving.address, "media_service_memory_bytes") > 10_000_000


@pytest.mark.parametrize(("threshold", "is_told"), [(20, True), (1000, False)])
async def test_tasks_that_do_not_end_are_told(adb_server: RunningAdb, threshold: int, is_told: bool) -> None:
    often = settings(adb_server, goroutine_monitor_interval="20ms", goroutine_leak_threshold=threshold)
    with capture_logs() as log:
        async with serve(often, sources={}, demo=False) as serving, asyncio.TaskGroup() as leak:
            fewest = await metric(serving.address, "media_service_goroutines")
            forgotten = [leak.create_task(asyncio.sleep(60)) for _ in range(100 + int(fewest))]
            async with asyncio.timeout(5):
                while await metric(serving.address, "media_service_goroutines_unaccounted") < 50:
                    pass
            for task in forgotten:
                task.cancel()
    said = [entry for entry in log if entry["event"].startswith("more asyncio tasks")]
    assert [entry["log_level"] for entry in said] == ["warning"] * is_told


async def test_traces_are_sent_where_it_is_wanted(adb_server: RunningAdb, collector: Collector) -> None:
    tracing = settings(adb_server, tracing_enabled=True, jaeger_endpoint=collector.url, service_name="media-7")
    async with serve(tracing, sources={"a": PICTURES}, demo=False) as serving:
        assert (await join(serving.address, "a")).status == 201
    # What waits is sent at the end.
    names = {span.name for span in collector.spans}
    assert {"POST /api/media/sessions", "join", "capture"} <= names
    assert collector.resources[0]["service.name"] == "media-7"


async def test_otherwise_none_are(adb_server: RunningAdb, collector: Collector) -> None:
    silent = settings(adb_server, tracing_enabled=False, jaeger_endpoint=collector.url)
    async with serve(silent, sources={"a": PICTURES}, demo=False) as serving:
        assert (await join(serving.address, "a")).status == 201
    assert collector.asked == 0
