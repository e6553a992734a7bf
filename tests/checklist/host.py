"""The files of a host: what `scripts/install` puts there, under a folder of our own, and its settings."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.checklist.account import ROOT, Account
from tests.checklist.program import CannotStart

_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Host:
    """A tree that `DESTDIR` made, whose folders belong to who they would belong to."""

    folder: Path
    account: Account

    @property
    def configuration(self) -> Path:
        """Where the settings are, as systemd's EnvironmentFile and as `.env`."""
        return self.folder / "etc" / "media-service"

    @property
    def settings_file(self) -> Path:
        return self.configuration / "media-service.env"

    @property
    def logs(self) -> Path:
        return self.folder / "var" / "log" / "media-service"

    @property
    def state(self) -> Path:
        """Its home: adb keeps its key there."""
        return self.folder / "var" / "lib" / "media-service"

    @property
    def units(self) -> Path:
        return self.folder / "etc" / "systemd" / "system"

    @property
    def log_rotation(self) -> Path:
        return self.folder / "etc" / "logrotate.d" / "media-service"

    def write_settings(self, settings: Mapping[str, str]) -> None:
        """Add them to the file; an empty value counts as not set."""
        with self.settings_file.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())

    def environment(self) -> dict[str, str]:
        """What the unit gives the service beside the settings."""
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.state),
            "LANG": "C.UTF-8",
            "PYTHONFAULTHANDLER": "1",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self.state),
        }


def install(folder: Path, account: Account) -> Host:
    """Install into `folder`. Raises `CannotStart`."""
    done = subprocess.run(
        [ROOT / "scripts" / "install"],
        env={**os.environ, "DESTDIR": str(folder), "INSTALL_VENV": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_TIMEOUT,
    )
    if done.returncode:
        raise CannotStart(f"scripts/install: {done.stdout}")
    host = Host(folder, account)
    account.give(host.settings_file, 0o640, owner=False)
    # As systemd makes them: LogsDirectory and StateDirectory.
    for path, mode in ((host.logs, 0o750), (host.state, 0o700)):
        path.mkdir(parents=True)
        account.give(path, mode)
    return host
