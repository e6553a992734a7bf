"""What every source promises, with the demo phone in the test's own event loop."""

import asyncio

from capture.source import Source
from tests.capture.source_contract import SourceContract, take
from tests.waiting import until


class DemoPhoneContract(SourceContract):
    """The promises of `capture.source.Source`."""

    async def test_no_task_is_left_running(self, source: Source) -> None:
        """As the contract's, but the phone's own tasks are in this event loop too: they end a little later."""
        tasks_of_others = asyncio.all_tasks()
        await take(source, 3)
        await source.aclose()
        await until(lambda: asyncio.all_tasks() <= tasks_of_others)
