"""Who we are to others."""

import pytest

from media_service.integrations.instance import Instance
from media_service.integrations.service_host import reachable_host


def test_an_instance() -> None:
    instance = Instance("media-service", "10.0.0.2", 30006)
    assert instance.instance_id == "media-service-10.0.0.2-30006"
    assert instance.address == "10.0.0.2:30006"
    assert Instance("media-service", "fd00::2", 1).address == "[fd00::2]:1"


@pytest.mark.parametrize(
    ("listening_on", "told"),
    [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("10.0.0.9", "10.0.0.9"), ("::1", "::1")],
)
def test_who_listens_on_one_address_is_reached_there(listening_on: str, told: str) -> None:
    assert reachable_host(listening_on, ["10.0.0.5"]) == told


@pytest.mark.parametrize("listening_on", ["0.0.0.0", "::"])
@pytest.mark.parametrize(
    ("addresses", "told"),
    [
        ((), "127.0.0.1"),
        (("127.0.0.1", "::1"), "127.0.0.1"),
        (("fd00::5", "10.0.0.5", "10.0.0.6", "127.0.0.1"), "10.0.0.5"),
        (("fd00::5", "127.0.0.1"), "fd00::5"),
    ],
)
def test_who_listens_everywhere_is_reached_at_the_first_address(
    listening_on: str, addresses: tuple[str, ...], told: str
) -> None:
    assert reachable_host(listening_on, addresses) == told
