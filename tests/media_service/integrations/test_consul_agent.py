"""Registration with an agent that comes and goes."""

import pytest

from benchmarks.sender import free_port
from media_service.integrations.consul_agent import ConsulRegistration
from media_service.integrations.instance import Instance
from tests.fixtures.consul import ConsulAgent
from tests.media_service.integrations.running import healthy, running, unhealthy
from tests.media_service.integrations.silent_server import silent_server
from tests.waiting import until

INSTANCE = Instance("media-service", "10.0.0.2", 30006)
ID = "media-service-10.0.0.2-30006"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at every two seconds is looked at all the time."""
    monkeypatch.setattr("media_service.integrations.consul_agent._LOOK_INTERVAL", 0.01)


def registration(port: int, *, check_interval: float = 10) -> ConsulRegistration:
    return ConsulRegistration("127.0.0.1", port, INSTANCE, check_interval=check_interval)


async def test_it_registers_and_deregisters(consul_agent: ConsulAgent) -> None:
    async with running(registration(consul_agent.port, check_interval=2.5)) as consul:
        await healthy(consul)
        assert consul_agent.services == {
            ID: {
                "ID": ID,
                "Service": "media-service",
                "Address": "10.0.0.2",
                "Port": 30006,
                "Tags": ["cloudphone", "media", "webrtc", "v1", "prometheus"],
                "Meta": {},
            }
        }
        assert consul_agent.checks[ID] == [
            {
                "http": "http://10.0.0.2:30006/health",
                "interval": "2.5s",
                "timeout": "5s",
                "DeregisterCriticalServiceAfter": "3m",
            }
        ]
    assert consul_agent.services == {}
    assert consul_agent.requests["PUT deregister"] == 1


@pytest.mark.usefixtures("quick")
async def test_it_registers_once_as_long_as_the_agent_knows_it(consul_agent: ConsulAgent) -> None:
    async with running(registration(consul_agent.port)) as consul:
        await until(lambda: consul_agent.requests.total() > 10)
        assert (consul.registrations, consul_agent.requests["PUT register"]) == (1, 1)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("change", ["forgotten", "another port", "other tags"])
async def test_it_registers_again_when_the_agent_has_forgotten_it_or_knows_another(
    consul_agent: ConsulAgent, change: str
) -> None:
    async with running(registration(consul_agent.port)) as consul:
        await healthy(consul)
        expected = consul_agent.services[ID]
        if change == "forgotten":
            del consul_agent.services[ID]
        else:
            others: dict[str, object] = {"Port": 1} if change == "another port" else {"Tags": []}
            consul_agent.services[ID] = expected | others
        await until(lambda: consul_agent.services.get(ID) == expected, timeout=5)


async def test_an_agent_that_is_absent_at_the_start_and_comes() -> None:
    agent = ConsulAgent()
    async with running(registration(agent.port)) as consul:
        await unhealthy(consul, f"127.0.0.1:{agent.port}: Cannot connect")
        await agent.start()
        try:
            await healthy(consul)
            assert ID in agent.services
        finally:
            await agent.stop()


async def test_an_agent_that_goes_and_comes_back_with_an_empty_memory(consul_agent: ConsulAgent) -> None:
    async with running(registration(consul_agent.port)) as consul:
        await healthy(consul)
        await consul_agent.stop()
        await unhealthy(consul, "Cannot connect")
        await consul_agent.start()
        await healthy(consul)
        assert ID in consul_agent.services


async def test_an_agent_that_hangs(consul_agent: ConsulAgent) -> None:
    async with running(registration(consul_agent.port)) as consul:
        await healthy(consul)
        consul_agent.freeze()
        await unhealthy(consul, "does not answer within 2.5 s")
        consul_agent.thaw()
        await healthy(consul)


async def test_an_agent_that_hangs_at_the_end_holds_nobody_up(
    consul_agent: ConsulAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_service.integrations.consul_agent._PATIENCE", 0.05)
    async with running(registration(consul_agent.port)) as consul:
        await healthy(consul)
        consul_agent.freeze()
    assert consul_agent.requests["PUT deregister"] == 1


async def test_an_agent_that_refuses(consul_agent: ConsulAgent) -> None:
    consul_agent.refuses = "Permission denied: token lacks permission 'service:write'"
    async with running(registration(consul_agent.port)) as consul:
        await unhealthy(consul, "Permission denied")
        consul_agent.refuses = ""
        await healthy(consul)


async def test_what_is_no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_service.integrations.consul_agent._PATIENCE", 0.1)
    async with silent_server() as port, running(registration(port)) as consul:
        await unhealthy(consul, "does not answer within 0.1 s")


async def test_an_agent_at_an_ipv6_address() -> None:
    consul = ConsulRegistration("::1", free_port(), INSTANCE, check_interval=10)
    async with running(consul):
        await unhealthy(consul, "Cannot connect to host ::1")
