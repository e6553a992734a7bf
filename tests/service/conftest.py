"""Services that several modules here ask: processes of their own, one where everybody may, one that wants tokens."""

from collections.abc import Iterator

import pytest

from tests.fixtures.adb import RunningAdb
from tests.fixtures.demo_phone import DemoPhoneProcess
from tests.fixtures.service import RunningService, running_service
from tests.service.outside import PICTURES, SECRET

_SOURCES = ("--source", f"a={PICTURES}", "--source", f"b={PICTURES}")


@pytest.fixture(scope="session")
def open_service(adb_server: RunningAdb, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service without tokens that shows `a` and `b`."""
    environment = {"ANDROID_ADB_SERVER_PORT": str(adb_server.port), "MAX_JOINS_PER_MINUTE": "1000000"}
    with running_service(_SOURCES, environment, tmp_path_factory.mktemp("open")) as service:
        yield service


@pytest.fixture(scope="session")
def guarded_service(
    adb_server: RunningAdb, demo_phone_process: DemoPhoneProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """A service that takes the tokens of `outside.token`; it shows `a`, `b` and the phone `lobby`."""
    environment = {
        "ANDROID_ADB_SERVER_PORT": str(adb_server.port),
        "ADB_DEVICES": f"lobby={demo_phone_process.serial}",
        "JWT_SECRET": SECRET,
        "MAX_JOINS_PER_MINUTE": "1000000",
    }
    with running_service(_SOURCES, environment, tmp_path_factory.mktemp("guarded")) as service:
        yield service
