"""Runs schemathesis against a service: whatever it sends, there is no 5xx and no answer that is not in the document.

It is run as a program of its own, by its documented command line. That it finds the same every time, it derives what it
sends from the document alone.
"""

import asyncio
import os
import sys
from pathlib import Path

from tests.signaling import schemathesis_hooks

CHECKS = (
    schemathesis_hooks.no_server_error.__name__,
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "missing_required_header",
    "ignored_auth",
    "use_after_free",
)
"""Not those that take every description that the schema allows to be one that can be read."""

_ROOT = Path(__file__).parents[2]
_TIMEOUT = 120.0


async def conforms(
    address: str,
    folder: Path,
    *,
    device: str = "demo",
    token: str | None = None,
    phases: str = "examples,coverage,fuzzing,stateful",
    max_examples: int = 3,
    leave_out: str = "",
) -> str:
    """The report of a run that found nothing, in the service at `address` (with a slash at the end).

    `device` can be watched there; `leave_out` is a regular expression of paths that are not tried. What schemathesis
    writes goes to `folder`. Raises `AssertionError` with its report when it found something.
    """
    arguments = [f"{address}api/media/openapi.json", "--no-color", "--generation-deterministic", "--no-shrink"]
    arguments += ["--phases", phases, "--max-examples", str(max_examples), "--checks", ",".join(CHECKS)]
    if token is not None:
        arguments += ["--header", f"Authorization: Bearer {token}"]
    if leave_out:
        arguments += ["--exclude-path-regex", leave_out]
    environment = {
        **os.environ,
        "PYTHONPATH": str(_ROOT),
        "SCHEMATHESIS_HOOKS": schemathesis_hooks.__name__,
        schemathesis_hooks.DEVICE: device,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "schemathesis.cli", "run"),
        *arguments,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_TIMEOUT):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    report = output.decode(errors="replace")
    if process.returncode != 0:
        raise AssertionError(report)
    return report
