"""schemathesis over the OpenAPI document, with a token and without."""

import re
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from signaling.caller import Caller
from signaling.errors import Unauthorized
from tests.signaling.memory_service import Client, MemoryService, served
from tests.signaling.schemathesis_run import conforms

TOKEN = "the-only-token"


class OneUser:
    """Fits `signaling.guard.Authenticator`: there is one token."""

    async def caller(self, token: str, address: str) -> Caller:
        if token != TOKEN:
            raise Unauthorized("the token was not signed with a key that is known here", code="token_signature")
        return Caller("ana", address, has_token=True)


def address_of(client: Client) -> str:
    return str(client.make_url("/"))


async def test_with_a_token(tmp_path: Path) -> None:
    service = MemoryService()
    async with served(service, authenticator=OneUser()) as client:
        with capture_logs() as logs:
            report = await conforms(address_of(client), tmp_path, token=TOKEN)
    assert logs == []
    # It got beyond the refusals.
    assert any(session.negotiated is not None for session in service.opened.values())
    assert any(session.candidates for session in service.opened.values())
    assert int(re.findall(r"Tested: (\d+)", report)[0]) == int(re.findall(r"Selected: \d+/(\d+)", report)[0])


async def test_without_a_token(tmp_path: Path) -> None:
    service = MemoryService()
    async with served(service, authenticator=OneUser()) as client:
        await conforms(address_of(client), tmp_path, phases="fuzzing", max_examples=2)
    assert not service.opened


async def test_what_is_not_documented_is_found(tmp_path: Path) -> None:
    """The run itself: a service that answers 500 does not pass."""

    class Broken(MemoryService):
        async def devices(self, caller: Caller) -> list[object]:  # type: ignore[override]
            raise RuntimeError("on purpose")

    async with served(Broken()) as client:
        with pytest.raises(AssertionError, match="Server error"):
            await conforms(address_of(client), tmp_path, phases="fuzzing", max_examples=1, leave_out="sessions|whep|ws")
