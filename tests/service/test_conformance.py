"""schemathesis against the whole service: whatever it sends, there is no 5xx and no answer that is not documented."""

import asyncio
import json

import pytest

from tests.fixtures.service import RunningService
from tests.service.outside import ask, token
from tests.signaling.schemathesis_run import conforms

pytestmark = pytest.mark.adb


async def test_without_and_with_a_token(
    open_service: RunningService, guarded_service: RunningService, tmp_path_factory: pytest.TempPathFactory
) -> None:
    services = (open_service, guarded_service)
    before = [len(service.log) for service in services]
    here, there = (tmp_path_factory.mktemp("schemathesis") for _ in services)
    bearer = token(sub="schemathesis", roles=["user"])
    # Both at the same time: most of it is thinking what to send.
    async with asyncio.TaskGroup() as group:
        group.create_task(conforms(open_service.address, here, device="a", max_examples=1, leave_out="pprof"))
        group.create_task(
            conforms(
                guarded_service.address,
                there,
                device="a",
                token=bearer,
                phases="fuzzing",
                max_examples=2,
                leave_out="pprof",
            )
        )
    for service, count in zip(services, before, strict=True):
        assert_untroubled(service.log[count:])
        assert (await ask(service.address, "livez")).status == 200


def assert_untroubled(log: list[str]) -> None:
    """Nothing in it tells of a bug: neither a traceback nor an error."""
    assert [line for line in log if not line.startswith("{")] == []
    assert [line for line in log if json.loads(line)["level"] not in ("debug", "info", "warning")] == []
