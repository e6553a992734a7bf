"""What the second net under the log catches, and what it lets pass."""

import json
from pathlib import Path

import pytest

from media_service.redaction import Redaction
from media_service.settings import Settings

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"Bearer {TOKEN} came", "Bearer [redacted] came"),
        ("cannot reach amqp://user:pa55word@broker:5672/vhost", "cannot reach amqp://[redacted]@broker:5672/vhost"),
        ("a=ice-pwd:asd88fgpdd777uzjYhagZgab", "a=ice-pwd:[redacted]"),
        (
            '{"line": "a=candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host"}',
            '{"line": "a=candidate:[redacted]"}',
        ),
        ("GET http://127.0.0.1:8500/v1/status/leader", "GET http://127.0.0.1:8500/v1/status/leader"),
        ("device 192.168.1.2:5555 is online", "device 192.168.1.2:5555 is online"),
    ],
)
def test_shapes(line: str, shown: str) -> None:
    assert Redaction()(line) == shown


def test_known_secrets_in_every_form() -> None:
    secret = 'quo"te/ünd space'
    redact = Redaction([secret, "short", ""])
    for form in (secret, json.dumps(secret)[1:-1], "quo%22te%2F%C3%BCnd%20space"):
        assert redact(f"<{form}>") == "<[redacted]>"
    assert redact("in short") == "in short"


def test_the_longer_of_two_secrets_is_found() -> None:
    assert Redaction(["secret", "secret-and-more"])("secret-and-more, secret") == "[redacted], [redacted]"


def test_every_secret_of_the_settings(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "jwt_secret": "j" * 32,
            "turn_urls": "turn:192.0.2.1",
            "turn_secret": "shared-with-coturn",
            "turn_username": "user",
            "turn_credential": "static-credential",
            "redis_password": "redis-password",
            "rabbitmq_url": "amqp://broker-user:broker%2Dpassword@broker.example/",
        }
    )
    redact = Redaction.of(settings)
    for secret in ("j" * 32, "shared-with-coturn", "static-credential", "redis-password", "broker-password"):
        assert redact(f"it is {secret} here") == "it is [redacted] here"
    assert redact("broker.example") == "broker.example"
