"""The service at one end of a bad link, Chromium at the other."""

import shlex
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.async_api import Browser

from benchmarks import chromium
from benchmarks.errors import BenchmarkError
from benchmarks.link import Link, Namespace, forwarded, link, namespace
from benchmarks.machine import Cores
from benchmarks.metrics import Metrics
from benchmarks.page import launched
from benchmarks.sender import Sender, media_service

_AFTER_OTHERS: Final = """\
if [ -w /proc/self/autogroup ]; then echo 10 > /proc/self/autogroup; fi
renice -n 10 -p $$ > /dev/null
"""
"""Has what this shell becomes take little from others (sched(7)): its group too, for Chromium is started as a session
of its own, and where sessions are groups it would get as much as all of the benchmark's, whatever its niceness."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Two namespaces that only a link joins."""

    server: Namespace
    client: Namespace
    link: Link

    @asynccontextmanager
    async def service(
        self,
        sources: Mapping[str, str],
        cores: Cores,
        environment: Mapping[str, str],
        *,
        program: Sequence[str] = ("media_service", "run"),
    ) -> AsyncIterator[Sender]:
        """The service at the server's end; browsers at the other reach its API beside the link, its media by it.

        Raises `BenchmarkError`.
        """
        async with AsyncExitStack() as stack:
            with self.server.entered():
                sender = stack.enter_context(media_service(sources, cores, environment, program=program))
            port = int(sender.base_url.rpartition(":")[2])
            await stack.enter_async_context(forwarded(port, self.server, self.client))
            yield sender

    def metrics(self, sender: Sender) -> Metrics:
        """What the service says of itself. Raises `BenchmarkError` when it does not answer."""
        with self.server.entered():
            return sender.metrics()

    @asynccontextmanager
    async def browser(self, *, gives_way: bool = False) -> AsyncIterator[Browser]:
        """Headless Chromium at the client's end; with `gives_way` it takes little of a core that anything else wants.

        Raises `BenchmarkError` when there is none.
        """
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            async with launched(_chromium_in(self.client, Path(folder), gives_way=gives_way)) as browser:
                yield browser


@contextmanager
def ends(*, seed: int = 1) -> Iterator[Ends]:
    """Raises `NoNamespaces` where none can be made, `BenchmarkError` for anything else."""
    with namespace("server") as server, namespace("client") as client, link(server, client, seed=seed) as joined:
        yield Ends(server, client, joined)


def _chromium_in(client: Namespace, folder: Path, *, gives_way: bool) -> Path:
    """A program in `folder` that is Chromium in a namespace."""
    found = chromium.find()
    if found is None:
        raise BenchmarkError(f"no browser: install one of {', '.join(chromium.NAMES)}")
    wrapper = folder / "chromium"
    yielding = _AFTER_OTHERS if gives_way else ""
    wrapper.write_text(f'#!/bin/sh\n{yielding}exec {shlex.join(client.command([found]))} "$@"\n')
    wrapper.chmod(0o755)
    return wrapper
