"""Which test shows what each setting does: one without such a test is refused, as is a test that is not there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from media_service.settings import Settings

_ROOT = Path(__file__).parents[2]
_HERE = "tests/service/"

_ACCESS = _HERE + "test_settings_of_access.py::"
_CONNECTIONS = _HERE + "test_settings_of_connections.py::"
_ENCODING = _HERE + "test_settings_of_encoding.py::"
_NEIGHBOURS = _HERE + "test_neighbours.py::test_what_is_told_of_sessions_and_of_the_service"
_OPERATION = _HERE + "test_settings_of_operation.py::"
_PHONES = _HERE + "test_settings_of_phones.py::"
_SESSIONS = _HERE + "test_settings_of_sessions.py::"

SHOWN_BY = {
    "host": _ACCESS + "test_listening_wider_takes_the_token_of_the_printed_link",
    "port": "tests/media_service/test_app.py::test_a_port_in_use_is_named",
    "service_name": _OPERATION + "test_the_name_is_told",
    "service_host": _NEIGHBOURS,
    "log_level": _OPERATION + "test_only_trouble_is_logged_and_no_file_written",
    "enable_file_logging": _OPERATION + "test_only_trouble_is_logged_and_no_file_written",
    "log_file": _OPERATION + "test_a_small_log_file_is_put_aside_and_few_are_kept",
    "log_file_max_bytes": _OPERATION + "test_a_small_log_file_is_put_aside_and_few_are_kept",
    "log_file_backups": _OPERATION + "test_a_small_log_file_is_put_aside_and_few_are_kept",
    "drain_timeout": _HERE + "test_stopping.py::test_who_stays_is_said_goodbye_to",
    "enable_metrics": _ACCESS + "test_what_is_switched_off_is_not_there",
    "enable_pprof": _ACCESS + "test_what_is_switched_off_is_not_there",
    "monitoring_networks": _ACCESS + "test_monitoring_is_for_the_networks_that_are_named",
    "trusted_proxies": _ACCESS + "test_only_proxies_that_are_trusted_say_who_asks",
    "resource_monitor_interval": _OPERATION + "test_memory_and_cpu_are_measured_as_often_as_is_wanted",
    "goroutine_monitor_interval": _OPERATION + "test_tasks_that_do_not_end_are_told",
    "goroutine_leak_threshold": _OPERATION + "test_tasks_that_do_not_end_are_told",
    "tracing_enabled": _OPERATION + "test_otherwise_none_are",
    "jaeger_endpoint": _OPERATION + "test_traces_are_sent_where_it_is_wanted",
    "jwt_secret": _ACCESS + "test_with_a_secret_the_link_has_no_token_and_those_of_others_are_asked_for",
    "jwt_public_key": _ACCESS + "test_a_public_key_in_a_file",
    "jwt_jwks_url": _ACCESS + "test_public_keys_at_an_address",
    "jwt_issuer": _ACCESS + "test_issuer_and_audience_of_tokens_are_as_set",
    "jwt_audience": _ACCESS + "test_issuer_and_audience_of_tokens_are_as_set",
    "max_sessions": _SESSIONS + "test_a_limit_of_two",
    "max_sessions_per_user": _SESSIONS + "test_a_limit_of_two",
    "max_sessions_per_device": _SESSIONS + "test_a_limit_of_two",
    "max_joins_per_minute": _SESSIONS + "test_a_limit_of_two",
    "session_cleanup_interval": _SESSIONS + "test_not_before",
    "session_inactive_timeout": _SESSIONS + "test_not_before",
    "allowed_origins": _ACCESS + "test_pages_of_allowed_origins",
    "ice_port_min": _CONNECTIONS + "test_media_takes_a_port_of_the_range",
    "ice_port_max": "tests/media_service/test_app.py::test_no_free_media_port",
    "nat_1to1_ips": _CONNECTIONS + "test_the_addresses_behind_which_it_is_are_announced",
    "stun_servers": _CONNECTIONS + "test_the_start_waits_for_the_public_address_as_long_as_it_may",
    "turn_urls": _CONNECTIONS + "test_credentials_are_made_with_the_secret_and_expire",
    "turn_secret": _CONNECTIONS + "test_credentials_are_made_with_the_secret_and_expire",
    "turn_ttl": _CONNECTIONS + "test_credentials_are_made_with_the_secret_and_expire",
    "turn_username": _CONNECTIONS + "test_without_a_secret_the_password_is_handed_out",
    "turn_credential": _CONNECTIONS + "test_without_a_secret_the_password_is_handed_out",
    "ice_gathering_timeout": _CONNECTIONS + "test_the_start_waits_for_the_public_address_as_long_as_it_may",
    "adb_path": "tests/media_service/test_app.py::test_without_adb_other_sources_still_play",
    "adb_connect_timeout": _PHONES + "test_a_program_that_does_not_answer_in_time",
    "adb_command_timeout": _PHONES + "test_a_program_that_does_not_answer_in_time",
    "adb_devices": "tests/media_service/test_app.py::test_a_phone_that_vanishes_and_comes_back_keeps_its_session",
    "android_adb_server_port": "tests/media_service/test_cli.py::"
    "test_devices_of_adb_and_configured_ones_that_are_not_connected",
    "docker_host": _PHONES + "test_phones_in_containers_with_the_label",
    "redroid_label": _PHONES + "test_phones_in_containers_with_the_label",
    "capture_mode": _PHONES + "test_screenrecord_is_insisted_on_and_told_size_and_bit_rate",
    "scrcpy_server_path": _PHONES + "test_scrcpy_is_told_how_often_and_how_loud",
    "scrcpy_server_version": _PHONES + "test_a_server_of_another_version_than_is_said_does_not_run",
    "video_width": _PHONES + "test_screenrecord_is_insisted_on_and_told_size_and_bit_rate",
    "video_height": _PHONES + "test_screenrecord_is_insisted_on_and_told_size_and_bit_rate",
    "video_bitrate": _PHONES + "test_screenrecord_is_insisted_on_and_told_size_and_bit_rate",
    "video_framerate": _PHONES + "test_scrcpy_is_told_how_often_and_how_loud",
    "video_encoder_type": "tests/media_service/test_encoding.py::test_everybody_gets_encoded_pictures_where_it_is_set",
    "h264_hw_accel": "tests/media_service/test_encoding.py::"
    "test_an_encoder_that_is_insisted_on_and_does_not_work_ends_the_start",
    "h264_preset": _ENCODING + "test_the_preset_is_in_the_coded_video",
    "use_worker_pool": _ENCODING + "test_so_many_threads_encode",
    "worker_count": _ENCODING + "test_so_many_threads_encode",
    "worker_input_buffer": _ENCODING + "test_buffers_are_as_small_as_is_wanted",
    "worker_output_buffer": _ENCODING + "test_buffers_are_as_small_as_is_wanted",
    "pipeline_encoding_timeout": _ENCODING + "test_pictures_that_take_too_long_replace_their_encoder",
    "pipeline_writing_timeout": _ENCODING + "test_coded_pictures_that_wait_too_long_are_left_out",
    # Only VAAPI has such a program, and it needs a graphics card.
    "ffmpeg_shutdown_timeout": "tests/encoders/test_ffmpeg_encoder.py::test_one_that_does_not_end_by_itself_is_killed",
    "audio_encoder_type": _PHONES + "test_scrcpy_is_told_how_often_and_how_loud",
    "audio_sample_rate": _PHONES + "test_sound_that_phones_do_not_code_is_coded_here",
    "audio_channels": _PHONES + "test_sound_that_phones_do_not_code_is_coded_here",
    "audio_bitrate": _PHONES + "test_scrcpy_is_told_how_often_and_how_loud",
    "redis_enabled": _NEIGHBOURS,
    "redis_host": _NEIGHBOURS,
    "redis_port": _NEIGHBOURS,
    "redis_db": _NEIGHBOURS,
    "redis_password": _NEIGHBOURS,
    "rabbitmq_enabled": _NEIGHBOURS,
    "rabbitmq_url": _NEIGHBOURS,
    "consul_enabled": _NEIGHBOURS,
    "consul_host": _NEIGHBOURS,
    "consul_port": _NEIGHBOURS,
    "consul_health_check_interval": _NEIGHBOURS,
}
"""By the setting: the test, as pytest calls it."""


@cache
def _module(path: str) -> tuple[str, frozenset[str]]:
    """What is written in a module of tests, and the tests in it; those of a class as `Class::test`."""
    text = (_ROOT / path).read_text()
    tests = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            tests |= {f"{node.name}::{each.name}" for each in node.body if isinstance(each, _FUNCTIONS)}
        elif isinstance(node, _FUNCTIONS):
            tests.add(node.name)
    return text.lower(), frozenset(tests)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def troubles(settings: frozenset[str], shown_by: dict[str, str]) -> list[str]:
    """What is wrong with such a table, for these settings."""
    found = [f"no test shows what {name.upper()} does" for name in sorted(settings - shown_by.keys())]
    found += [f"{name.upper()} is no setting" for name in sorted(shown_by.keys() - settings)]
    for name, test in shown_by.items():
        path, _, function = test.partition("::")
        text, tests = _module(path) if (_ROOT / path).is_file() else ("", frozenset())
        if not function.rpartition("::")[2].startswith("test_") or function not in tests:
            found.append(f"{test}, which is to show what {name.upper()} does, is not there")
        elif path.startswith(_HERE) and not re.search(rf"\b{name}\b", text):
            found.append(f"{test} does not speak of {name.upper()}")
    return found


def test_every_setting_is_shown_by_a_test() -> None:
    assert troubles(frozenset(Settings.model_fields), SHOWN_BY) == []


@pytest.mark.parametrize(
    ("entry", "trouble"),
    [
        ({}, "no test shows what PORT does"),
        ({"port": SHOWN_BY["port"], "prot": SHOWN_BY["port"]}, "PROT is no setting"),
        ({"port": _ACCESS + "test_nothing"}, "which is to show what PORT does, is not there"),
        ({"port": _ACCESS + "served"}, "which is to show what PORT does, is not there"),
        ({"port": "tests/service/test_nothing.py::test_it"}, "which is to show what PORT does, is not there"),
        ({"port": _SESSIONS + "test_not_before"}, "does not speak of PORT"),
    ],
)
def test_a_wrong_table_is_found_out(entry: dict[str, str], trouble: str) -> None:
    (said,) = troubles(frozenset({"port"}), entry)
    assert trouble in said
