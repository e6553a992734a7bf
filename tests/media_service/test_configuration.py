"""Where settings come from, what is said when they are wrong, and how they are shown."""

import json
from pathlib import Path

import pytest

from media_service import configuration
from media_service.configuration import BadSettings
from media_service.settings import Settings

# Of the service that this one takes the place of, and of any shell.
OTHER_NAMES = "GIN_MODE RECORDING_STORAGE_PATH HOME HOSTNAME PATH PWD LOGNAME SHELL"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's environment without settings."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def write(folder: Path, *lines: str) -> Path:
    path = folder / ".env"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_command_line_over_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file = write(tmp_path, "PORT=1001", "ICE_PORT_MIN=1002", "VIDEO_WIDTH=640  # a comment", "LOG_LEVEL=")
    monkeypatch.setenv("PORT", "2001")
    monkeypatch.setenv("ICE_PORT_MIN", "2002")
    monkeypatch.setenv("NAT_1TO1_IPS", "")
    effective = configuration.load(env_file, command_line={"port": 3001})
    settings, origins = effective.settings, effective.origins
    assert (settings.port, origins["port"]) == (3001, "command line")
    assert (settings.ice_port_min, origins["ice_port_min"]) == (2002, "environment")
    assert (settings.video_width, origins["video_width"]) == (640, ".env")
    assert (settings.log_level, origins["log_level"]) == ("info", "default")
    assert (settings.nat_1to1_ips, origins["nat_1to1_ips"]) == ((), "default")


def test_no_file_is_no_trouble(tmp_path: Path) -> None:
    assert configuration.load(tmp_path / ".env").settings == Settings()


def test_one_message_says_everything_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file = write(
        tmp_path,
        "PORT=http",
        "ICE_PORT_MIN=50200",
        "NAT_1TO1_IPS=192.0.2.1,here,there",
        "TURN_URLS=turn:a",
        "TURN_CREDENTIAL=hush",
        "VIDEO_BITRAET=1000000",
    )
    monkeypatch.setenv("HOST", "everywhere")
    monkeypatch.setenv("NAT_1T01_IPS", "192.0.2.9")
    with pytest.raises(BadSettings) as raised:
        configuration.load(env_file)
    first, *lines = str(raised.value).splitlines()
    assert first == "7 settings are wrong:"
    assert [line.strip() for line in lines] == [
        "HOST = 'everywhere' (environment): 'everywhere' is not an IP address;"
        " it must be an IP address of this machine, 0.0.0.0, :: or localhost",
        "PORT = 'http' (.env): it must be a port from 1 to 65535, or 0 for any free one",
        "ICE_PORT_MAX = 50100 (default): it is below ICE_PORT_MIN=50200; it must be a port from 1 to 65535",
        "NAT_1TO1_IPS = '192.0.2.1,here,there' (.env): 'here' is not an IP address; 'there' is not an IP address;"
        " it must be IP addresses, comma separated",
        "TURN_CREDENTIAL = ********** (.env): TURN_URLS is set without TURN_SECRET,"
        " and without it or without TURN_USERNAME;"
        " it must be text, set where TURN_URLS is",
        "VIDEO_BITRAET (.env) is not a setting: is VIDEO_BITRATE meant?",
        "NAT_1T01_IPS (environment) is not a setting: is NAT_1TO1_IPS meant?",
    ]


def test_a_misspelt_name_in_the_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"STUN_SERVER .* is STUN_SERVERS meant"):
        configuration.load(write(tmp_path, "STUN_SERVER=stun:a"))


def test_a_misspelt_name_in_the_environment_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It may be another program's.
    monkeypatch.setenv("PROT", "1")
    effective = configuration.load(tmp_path / ".env")
    assert effective.notices == ("PROT (environment) is not a setting: is PORT meant?",)


def test_names_of_the_older_service_and_of_other_programs_are_let_be(tmp_path: Path) -> None:
    assert configuration.load(write(tmp_path, *[f"{name}=1" for name in OTHER_NAMES.split()])).settings == Settings()


def test_names_of_the_older_service_are_ignored_aloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIN_MODE", "release")
    effective = configuration.load(write(tmp_path, "GIN_MODE=debug", "RECORDING_STORAGE_PATH=/srv"))
    assert [notice.split(":")[0] for notice in effective.notices] == [
        "GIN_MODE (environment) is ignored",
        "RECORDING_STORAGE_PATH (.env) is ignored",
    ]


def test_comments_that_systemd_hands_on_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO_BITRATE", "2000000  # 2 Mbps")
    monkeypatch.setenv("H264_PRESET", "fast\t# slower")
    monkeypatch.setenv("REDIS_PASSWORD", "a # b")
    settings = configuration.load(tmp_path / ".env").settings
    assert (settings.video_bitrate, settings.h264_preset) == (2_000_000, "fast")
    assert settings.redis_password is not None
    assert settings.redis_password.get_secret_value() == "a # b"


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"PORT=\xff\n")
    with pytest.raises(BadSettings, match=r"\.env cannot be read"):
        configuration.load(env_file)


def test_values_are_shown_with_their_source_and_without_secrets(tmp_path: Path) -> None:
    effective = configuration.load(
        write(tmp_path, "TURN_URLS=turn:a", "TURN_USERNAME=u", "TURN_CREDENTIAL=hush", "ADB_CONNECT_TIMEOUT=90s")
    )
    rows = {row.split()[0]: row.split()[1:] for row in effective.table().splitlines()}
    assert rows["PORT"] == ["30006", "default"]
    assert rows["TURN_CREDENTIAL"] == ["**********", ".env"]
    assert rows["ENABLE_METRICS"] == ["true", "default"]
    values = json.loads(json.dumps(effective.values()))
    assert list(values) == [name.upper() for name in Settings.model_fields]
    assert values["PORT"] == {"value": 30006, "source": "default"}
    assert values["ADB_PATH"] == {"value": None, "source": "default"}
    assert values["TURN_URLS"] == {"value": ["turn:a:3478"], "source": ".env"}
    assert values["ADB_CONNECT_TIMEOUT"] == {"value": "90s", "source": ".env"}
    assert "hush" not in effective.table() + json.dumps(values) + repr(effective)
