"""Tokens that the service signs itself, on the command line and for one run; and who needs one, by the settings."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from media_service.authentication import Authentication
from media_service.cli import program
from media_service.errors import CannotStart
from media_service.run_token import RUN_TOKEN_SECONDS, page_link, random_secret, token_for
from media_service.settings import Settings
from signaling.caller import Capability
from signaling.claims import LEEWAY
from signaling.errors import Unauthorized
from signaling.tokens import SharedSecret, TokenVerifier
from tests.signaling.signed_tokens import NOW, RSA_KEY, SECRET, pem, rsa_signed

ISSUER, AUDIENCE = "cloudphone-platform", "cloudphone-users"


def verifier(now: float = NOW, secret: str = SECRET) -> TokenVerifier:
    return TokenVerifier([SharedSecret.of(secret)], issuer=ISSUER, audience=AUDIENCE, clock=lambda: now)


def made(secret: str = SECRET, *, user: str = "ann", **options: object) -> str:
    wanted: dict[str, object] = {"seconds": 60, "now": NOW} | options
    return token_for(secret, issuer=ISSUER, audience=AUDIENCE, user=user, **wanted)  # type: ignore[arg-type]


async def test_a_token_says_what_was_ordered() -> None:
    caller = await verifier().caller(made(roles=["viewer"], devices=["a"]), "")
    assert (caller.user_id, caller.expires_at) == ("ann", NOW + 60)
    assert caller.capabilities == {Capability.VIEW}
    assert caller.may(Capability.VIEW, ["a"])
    assert not caller.may(Capability.VIEW, ["b"])
    with pytest.raises(Unauthorized):
        await verifier(NOW + 60 + LEEWAY).caller(made(), "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"user": ""}, "its sub must be"),
        ({"user": "a\nb"}, "its sub must be"),
        ({"roles": ["root"]}, "'root' is not a role: they are admin, operator, user, viewer"),
        ({"roles": ["viewer", "root"]}, "'root' is not a role"),
        ({"roles": ["admin"], "devices": ["a"]}, "never an admin's"),
        ({"devices": [""]}, "each of its devices must be"),
        ({"devices": ["x" * 200] * 60}, "name fewer devices"),
        ({"seconds": 0.2}, "a second at least"),
        ({"secret": "short"}, "at least 32 bytes"),
    ],
)
def test_a_token_that_would_not_be_taken_is_not_made(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        made(**options)  # type: ignore[arg-type]


def test_secrets_of_a_run_are_long_and_never_the_same() -> None:
    assert len({random_secret() for _ in range(20)}) == 20
    assert len(SharedSecret.of(random_secret()).secret) == 64


async def test_a_link_carries_the_token_where_no_log_sees_it() -> None:
    assert page_link("http://192.0.2.1:30006/", "abc") == "http://192.0.2.1:30006/#token=abc"


async def test_only_this_machine_needs_no_token() -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        authentication = Authentication.of(Settings(host=host))
        assert (authentication.verifier, authentication.run_token, authentication.key_set) == (None, None, None)
        assert authentication.link("http://127.0.0.1:1/") == "http://127.0.0.1:1/"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
async def test_beyond_this_machine_there_is_a_token_for_the_run(host: str) -> None:
    now = NOW
    authentication = Authentication.of(Settings(host=host), clock=lambda: now)
    assert authentication.verifier is not None
    assert authentication.run_token is not None
    caller = await authentication.verifier.caller(authentication.run_token, "")
    assert caller.is_admin
    assert authentication.link("http://a/") == f"http://a/#token={authentication.run_token}"
    other_run = Authentication.of(Settings(host=host), clock=lambda: now)
    assert other_run.run_token is not None
    with pytest.raises(Unauthorized, match="not signed with a key"):
        await authentication.verifier.caller(other_run.run_token, "")
    now += RUN_TOKEN_SECONDS + LEEWAY
    with pytest.raises(Unauthorized, match="expired"):
        await authentication.verifier.caller(authentication.run_token, "")


async def test_the_settings_say_who_signs(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(pem())
    settings = Settings(
        host="0.0.0.0",
        jwt_secret=SecretStr(SECRET),
        jwt_public_key=file,
        jwt_issuer="https://accounts.example",
        jwt_audience="phones",
    )
    authentication = Authentication.of(settings, clock=lambda: NOW)
    assert authentication.verifier is not None
    assert authentication.run_token is None
    assert (await authentication.verifier.caller(rsa_signed(RSA_KEY), "")).user_id == "ann"
    own = token_for(SECRET, issuer="https://accounts.example", audience="phones", user="bob", seconds=60, now=NOW)
    assert (await authentication.verifier.caller(own, "")).user_id == "bob"


def test_a_key_set_is_to_be_followed() -> None:
    authentication = Authentication.of(Settings(jwt_jwks_url="https://accounts.example/keys"))
    assert authentication.key_set is not None
    assert authentication.verifier is not None


def test_a_key_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="JWT_SECRET cannot be used: it is a key or a certificate") as refusal:
        Authentication.of(Settings(jwt_secret=SecretStr(pem().decode())))
    assert pem().decode()[40:80] not in str(refusal.value)
    file = tmp_path / "key.pem"
    file.write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    with pytest.raises(CannotStart, match="JWT_PUBLIC_KEY cannot be used: it holds no PEM public key"):
        Authentication.of(Settings(jwt_public_key=file))


@pytest.fixture
def media_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner()


async def test_the_command_prints_a_token(media_service: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    done = media_service.invoke(
        program, ["token", "--user", "ann", "--role", "viewer", "--device", "a", "--device", "b", "--for", "2h"]
    )
    assert done.exit_code == 0
    assert done.stdout.count("\n") == 1
    authentication = Authentication.of(Settings(jwt_secret=SecretStr(SECRET)))
    assert authentication.verifier is not None
    caller = await authentication.verifier.caller(done.stdout.strip(), "")
    assert caller.user_id == "ann"
    assert caller.capabilities == {Capability.VIEW}
    assert set(caller.devices or ()) == {"a", "b"}


def test_the_command_needs_the_secret(media_service: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET", raising=False)
    done = media_service.invoke(program, ["token", "--user", "ann"])
    assert done.exit_code == 1
    assert "JWT_SECRET is not set" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing option '--user'"),
        (["--user", "ann", "--for", "soon"], "'soon' is not a duration like 1h, 30m or 12h"),
        (["--user", "ann", "--for", "0s"], "a second at least"),
        (["--user", "ann", "--role", "root"], "'root' is not a role"),
        (["--user", ""], "its sub must be"),
    ],
)
def test_what_the_command_does_not_make(
    media_service: CliRunner, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    done = media_service.invoke(program, ["token", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
