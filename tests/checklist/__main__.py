"""`python -m tests.checklist`: starts the stack, looks at every point, and prints what was seen."""

import argparse
import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.machine import Machine
from tests.checklist import before_deployment, functions, monitoring, performance, security, settings_in_effect
from tests.checklist.point import Result, Section, Status, looked_at
from tests.checklist.program import CannotStart
from tests.checklist.report import Report, as_json, summary
from tests.checklist.stack import PHONE, Stack, missing_programs, running_stack

SECTIONS: Sequence[Section] = (
    before_deployment.SECTION,
    settings_in_effect.SECTION,
    functions.SECTION,
    performance.SECTION,
    monitoring.SECTION,
    security.SECTION,
)
"""In the order of the guide, in which they are looked at."""


def main() -> None:
    """Ends with 0, with 1 when a point fails, with 2 when the stack does not come up, and with 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.checklist", description="The production checklist, tried.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file too")
    parser.add_argument("--keep", action="store_true", help="leave the stack running until Ctrl-C")
    options = parser.parse_args()
    if missing := missing_programs():
        print(
            f"these programs are not here: {', '.join(missing)}; scripts/bootstrap test installs them", file=sys.stderr
        )
        sys.exit(2)
    begin = time.monotonic()
    machine = Machine.this()
    print(f"Production checklist on {machine.cores} cores ({machine.processor}), {machine.kernel}, {machine.python}")
    print("Starting the stack ...", flush=True)
    try:
        # One that the service's user may pass through.
        with TemporaryDirectory(prefix="media-service-checklist-") as folder:
            Path(folder).chmod(0o755)
            results = asyncio.run(_checked(Path(folder), begin, options.json, keep=options.keep))
    except CannotStart as error:
        print(f"the stack does not come up: {error}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
    sys.exit(any(result.status is Status.FAIL for result in results))


async def _checked(folder: Path, begin: float, json_file: Path | None, *, keep: bool) -> Sequence[Result]:
    task = asyncio.current_task()
    assert task is not None
    # What was started ends then too.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with running_stack(folder) as stack:
        print(f"up after {time.monotonic() - begin:.0f} s; what it writes is in {folder}")
        results = await _look(stack)
        seconds = time.monotonic() - begin
        print(summary(results, seconds), flush=True)
        if json_file is not None:
            await asyncio.to_thread(json_file.write_text, as_json(results, seconds))
        if keep:
            await _kept(stack)
    return results


async def _look(stack: Stack) -> list[Result]:
    report = Report(SECTIONS, width=shutil.get_terminal_size((140, 24)).columns, is_coloured=sys.stdout.isatty())
    results = []
    for section in SECTIONS:
        print(report.heading(section))
        async for result in looked_at(section, stack):
            results.append(result)
            print("\n".join(report.lines(result)), flush=True)
    return results


async def _kept(stack: Stack) -> None:
    token = stack.service.token("admin", user="operator")
    print(f"\nThe stack goes on until Ctrl-C. The page: {stack.link(stack.nginx.address, PHONE, token)}")
    print(f"Without nginx: {stack.service.address} and {stack.second.address}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
