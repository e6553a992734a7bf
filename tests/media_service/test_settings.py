"""What can be set: each setting's good and bad values, and what depends on another."""

import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from capture.adb.address import DeviceEntry
from capture.demo_phone.scrcpy.jar import make_jar
from media_service.duration import Duration
from media_service.ice_url import IceUrl
from media_service.settings import Settings

TURN = {"turn_urls": "turn:turn.example:3478?transport=tcp", "turn_username": "phones", "turn_credential": "secret"}

GOOD = [
    ("host", "::1", "::1"),
    ("host", "127.0.0.2", "127.0.0.2"),
    ("host", "localhost", "localhost"),
    ("host", "0.0.0.0", "0.0.0.0"),
    ("service_host", "media-1.example.net", "media-1.example.net"),
    ("service_host", "2001:db8::7", "2001:db8::7"),
    ("enable_file_logging", "false", False),
    ("log_file", "/dev/null", Path("/dev/null")),
    ("log_file_max_bytes", "0", 0),
    ("log_file_backups", "3", 3),
    ("drain_timeout", "0s", Duration(0)),
    ("enable_pprof", "true", True),
    ("monitoring_networks", "10.0.0.0/8,2001:db8::/32", ("10.0.0.0/8", "2001:db8::/32")),
    ("trusted_proxies", "192.0.2.1", ("192.0.2.1/32",)),
    ("resource_monitor_interval", "5s", 5.0),
    ("goroutine_monitor_interval", "1m", 60.0),
    ("goroutine_leak_threshold", "50", 50),
    ("tracing_enabled", "true", True),
    ("jaeger_endpoint", "http://collector:4318", "http://collector:4318"),
    ("jwt_secret", "s" * 32, SecretStr("s" * 32)),
    ("jwt_public_key", None, None),
    ("jwt_jwks_url", "https://id.example/keys", "https://id.example/keys"),
    ("jwt_issuer", "me", "me"),
    ("jwt_audience", "you", "you"),
    ("max_sessions", "5", 5),
    ("max_sessions_per_user", "5", 5),
    ("max_sessions_per_device", "5", 5),
    ("max_joins_per_minute", "5", 5),
    ("session_cleanup_interval", "1m", 60.0),
    ("session_inactive_timeout", "10m", 600.0),
    ("turn_secret", "hush", SecretStr("hush")),
    ("turn_ttl", "10m", 600.0),
    ("ice_gathering_timeout", "10s", 10.0),
    ("pipeline_writing_timeout", "150ms", 0.15),
    ("redis_enabled", "true", True),
    ("redis_host", "redis.lan", "redis.lan"),
    ("redis_port", "6380", 6380),
    ("redis_db", "3", 3),
    ("redis_password", "hush", SecretStr("hush")),
    ("rabbitmq_enabled", "true", True),
    ("rabbitmq_url", "amqps://me:hush@rabbit/phones", SecretStr("amqps://me:hush@rabbit/phones")),
    ("consul_enabled", "true", True),
    ("consul_host", "::1", "::1"),
    ("consul_port", "8501", 8501),
    ("consul_health_check_interval", "30s", 30.0),
    ("port", "0", 0),
    ("port", "65535", 65535),
    ("service_name", "media-1.eu_west", "media-1.eu_west"),
    ("log_level", "WARNING", "warning"),
    ("enable_metrics", "false", False),
    ("allowed_origins", "https://a.example, http://[::1]:8080", ("https://a.example", "http://[::1]:8080")),
    ("ice_port_min", "1", 1),
    ("ice_port_max", "65535", 65535),
    ("nat_1to1_ips", "203.0.113.7,2001:DB8::7", ("203.0.113.7", "2001:db8::7")),
    ("stun_servers", "stun:[::1]:5,stun:a", (IceUrl("stun", "::1", 5), IceUrl("stun", "a", 3478))),
    ("turn_urls", "", ()),
    ("turn_username", "phones", "phones"),
    ("turn_credential", "secret", SecretStr("secret")),
    ("adb_path", sys.executable, sys.executable),
    ("adb_path", "sh", "sh"),
    ("adb_connect_timeout", "1500ms", Duration(1.5)),
    ("adb_command_timeout", "1m", Duration(60)),
    (
        "adb_devices",
        "192.0.2.5, lobby=phone.lan:5556,",
        (DeviceEntry("192.0.2.5:5555"), DeviceEntry("phone.lan:5556", "lobby")),
    ),
    ("android_adb_server_port", "5038", 5038),
    ("video_width", "1920", 1920),
    ("video_height", "1080", 1080),
    ("video_bitrate", "8000000", 8_000_000),
    ("docker_host", "unix:///run/docker.sock", "unix:///run/docker.sock"),
    ("docker_host", "tcp://[::1]:2375", "tcp://[::1]:2375"),
    ("redroid_label", "phone", "phone"),
    ("redroid_label", "com.example/kind=phone", "com.example/kind=phone"),
    ("capture_mode", "Screencap", "screencap"),
    ("scrcpy_server_path", None, None),
    ("scrcpy_server_version", "v4.1", "4.1"),
    ("video_framerate", "60", 60),
    ("video_encoder_type", "Passthrough", "passthrough"),
    ("h264_hw_accel", "NVENC", "nvenc"),
    ("h264_preset", "ultrafast", "ultrafast"),
    ("use_worker_pool", "false", False),
    ("worker_count", "8", 8),
    ("worker_input_buffer", "30", 30),
    ("worker_output_buffer", "60", 60),
    ("pipeline_encoding_timeout", "150ms", 0.15),
    ("ffmpeg_shutdown_timeout", "2s", 2.0),
    ("audio_encoder_type", "NONE", "none"),
    ("audio_sample_rate", "16000", 16_000),
    ("audio_channels", "1", 1),
    ("audio_bitrate", "24000", 24_000),
]

BAD = [
    ("host", "phones.example", "'phones.example' is not an IP address"),
    ("service_host", "a b", "'a b' is not an IP address"),
    ("enable_file_logging", "perhaps", "boolean"),
    ("log_file", "/nowhere/app.log", "there is no folder '/nowhere'"),
    ("log_file", "/", "it is a folder"),
    ("log_file_max_bytes", "1M", "integer"),
    ("log_file_backups", "0", "greater than or equal"),
    ("drain_timeout", "30", "unit"),
    ("enable_pprof", "perhaps", "boolean"),
    ("monitoring_networks", "10.0.0.0/8,10.0.0.1/8", "'10.0.0.1/8' is not a network"),
    ("trusted_proxies", "proxy", "'proxy' is not a network"),
    ("resource_monitor_interval", "0s", "above zero"),
    ("goroutine_monitor_interval", "0s", "above zero"),
    ("goroutine_leak_threshold", "0", "greater than or equal"),
    ("tracing_enabled", "perhaps", "boolean"),
    ("jaeger_endpoint", "collector:4318", "a URL that begins with http:// or https://"),
    ("jwt_secret", "short", "too short to be safe"),
    ("jwt_public_key", "/nowhere/key.pem", "it cannot be read"),
    ("jwt_public_key", __file__, "no PEM public key"),
    ("jwt_jwks_url", "file:///keys", "a URL that begins with http:// or https://"),
    ("jwt_issuer", "", "at least 1 character"),
    ("jwt_audience", "", "at least 1 character"),
    ("max_sessions", "0", "greater than or equal"),
    ("max_sessions_per_user", "0", "greater than or equal"),
    ("max_sessions_per_device", "0", "greater than or equal"),
    ("max_joins_per_minute", "0", "greater than or equal"),
    ("session_cleanup_interval", "0s", "above zero"),
    ("session_inactive_timeout", "0s", "above zero"),
    ("turn_ttl", "5m", "less than 10m"),
    ("ice_gathering_timeout", "0s", "above zero"),
    ("pipeline_writing_timeout", "0s", "above zero"),
    ("redis_enabled", "perhaps", "boolean"),
    ("redis_host", "redis://localhost", "is not an IP address"),
    ("redis_port", "0", "greater than or equal"),
    ("redis_db", "-1", "greater than or equal"),
    ("rabbitmq_enabled", "perhaps", "boolean"),
    ("rabbitmq_url", "http://rabbit", "a URL that begins with amqp:// or amqps://"),
    ("consul_enabled", "perhaps", "boolean"),
    ("consul_host", "http://consul", "is not an IP address"),
    ("consul_port", "0", "greater than or equal"),
    ("consul_health_check_interval", "0s", "above zero"),
    ("port", "65536", "less than or equal"),
    ("port", "-1", "greater than or equal"),
    ("port", "http", "integer"),
    ("service_name", "a b", "match"),
    ("log_level", "loud", "'debug', 'info', 'warning' or 'error'"),
    ("enable_metrics", "perhaps", "boolean"),
    ("allowed_origins", "https://a.example/", "'https://a.example/' is not an origin"),
    ("allowed_origins", "*", "'\\*' is not an origin"),
    ("ice_port_min", "0", "greater than or equal"),
    ("ice_port_max", "49999", "below ICE_PORT_MIN=50000"),
    ("nat_1to1_ips", "203.0.113.7,203.0.113", "'203.0.113' is not an IP address"),
    ("stun_servers", "turn:a", "'turn:a:3478' is not a stun: URL"),
    ("stun_servers", "a:3478", "'a:3478' is not"),
    ("turn_urls", "stun:a", "'stun:a:3478' is not a turn: or turns: URL"),
    ("turn_urls", "turn:a", "TURN_URLS is set without TURN_SECRET"),
    ("adb_path", "/nowhere/adb", "no such program"),
    ("adb_path", "/", "no such program"),
    ("adb_connect_timeout", "10", "'10' is not a number with its unit"),
    ("adb_command_timeout", "0s", "it is not above zero"),
    ("adb_devices", "192.0.2.5:0", "'192.0.2.5:0' is not HOST:PORT"),
    ("adb_devices", "phone one", "'phone one' is not HOST:PORT"),
    ("adb_devices", "lobby=192.0.2.5,lobby=192.0.2.6", "'lobby' is the name of two phones"),
    ("android_adb_server_port", "0", "greater than or equal"),
    ("video_width", "8", "greater than or equal"),
    ("video_height", "99999", "less than or equal"),
    ("video_bitrate", "2M", "integer"),
    ("docker_host", "npipe:////./pipe/docker_engine", "is not the address of a Docker engine"),
    ("docker_host", "tcp://host", "is not the address of a Docker engine"),
    ("redroid_label", "=phone", "match"),
    ("capture_mode", "minicap", "'auto', 'scrcpy'"),
    ("capture_mode", "scrcpy", "CAPTURE_MODE=scrcpy needs it"),
    ("scrcpy_server_path", "/nowhere/scrcpy-server-v3.3.4", "there is no such file"),
    ("scrcpy_server_path", "/", "it is not a file"),
    ("scrcpy_server_path", __file__, "it is not scrcpy's server, or not all of it"),
    ("scrcpy_server_version", "2.7", "3.0 up to 4.x are allowed"),
    ("scrcpy_server_version", "latest", "'latest' is not a version of scrcpy"),
    ("video_framerate", "0", "greater than or equal"),
    ("video_encoder_type", "vp9", "'auto', 'passthrough' or 'h264'"),
    ("h264_hw_accel", "cuda", "'auto', 'nvenc', 'qsv', 'vaapi' or 'libx264'"),
    ("h264_preset", "p4", "'ultrafast'"),
    ("use_worker_pool", "many", "boolean"),
    ("worker_count", "0", "greater than or equal"),
    ("worker_input_buffer", "0", "greater than or equal"),
    ("worker_output_buffer", "-1", "greater than or equal"),
    ("pipeline_encoding_timeout", "200", "unit"),
    ("ffmpeg_shutdown_timeout", "0s", "above zero"),
    ("audio_encoder_type", "aac", "'opus' or 'none'"),
    ("audio_sample_rate", "44100", "48000"),
    ("audio_channels", "6", "1 or 2"),
    ("audio_bitrate", "1000", "greater than or equal"),
]


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_takes(name: str, text: str, value: object) -> None:
    assert getattr(Settings.model_validate({name: text}), name) == value


@pytest.mark.parametrize(("name", "text", "reason"), BAD)
def test_refuses(name: str, text: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Settings.model_validate({name: text})


@pytest.mark.parametrize("name", ["scrcpy-server-v3.3.4", "scrcpy-server-3.3.4.jar", "3.3.4"])
def test_the_version_of_scrcpy_s_server_is_in_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(make_jar("3.3.4"))
    settings = Settings.model_validate({"scrcpy_server_path": str(path)})
    assert (settings.scrcpy_server_path, settings.scrcpy_server_version) == (path, "3.3.4")
    assert (
        Settings.model_validate({"scrcpy_server_path": path, "scrcpy_server_version": "4.0"}).scrcpy_server_version
        == "4.0"
    )


def test_otherwise_the_version_must_be_said(tmp_path: Path) -> None:
    path = tmp_path / "scrcpy-server.jar"
    path.write_bytes(make_jar("3.3.4"))
    with pytest.raises(ValidationError, match=r"SCRCPY_SERVER_PATH is set, and 'scrcpy-server.jar' does not name its"):
        Settings.model_validate({"scrcpy_server_path": str(path)})


def test_every_setting_has_a_good_and_a_bad_value_here() -> None:
    free_text = {"turn_username", "turn_credential", "turn_secret", "redis_password"}
    assert {name for name, _, _ in GOOD} == set(Settings.model_fields)
    assert {name for name, _, _ in BAD} == set(Settings.model_fields) - free_text


def test_made_in_code_it_reads_nothing_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    assert Settings().port == 30006


def test_a_name_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="prot"):
        Settings.model_validate({"prot": 1})


def test_browsers_get_the_stun_and_turn_servers() -> None:
    settings = Settings.model_validate({"stun_servers": "stun:a,stun:b", **TURN})
    assert settings.stun_and_turn().for_user("ann", 0.0) == [
        {"urls": ["stun:a:3478", "stun:b:3478"]},
        {"urls": ["turn:turn.example:3478?transport=tcp"], "username": "phones", "credential": "secret"},
    ]
    assert Settings().stun_and_turn().for_user(None, 0.0) == []


@pytest.mark.parametrize("missing", ["turn_username", "turn_credential"])
def test_turn_servers_need_a_user_name_and_a_credential(missing: str) -> None:
    with pytest.raises(
        ValidationError, match="TURN_URLS is set without TURN_SECRET, and without it or without TURN_USERNAME"
    ):
        Settings.model_validate({name: value for name, value in TURN.items() if name != missing})
