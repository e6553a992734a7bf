"""The `media-service` command: reads the settings, hands them on, and says what went wrong in one line."""

import asyncio
import json
import logging
import re
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Annotated, Any

import structlog
import typer

from capture.adb.address import parse_device_entry
from capture.adb.client import AdbClient
from capture.demo_phone.by_hand import by_hand
from capture.errors import CaptureError
from media_service import __version__, configuration, device_listing, log
from media_service.addresses import own_address
from media_service.configuration import BadSettings, Configuration
from media_service.device_listing import ListedDevice, NoListing
from media_service.devices import Devices
from media_service.duration import Duration
from media_service.log_file import LogFile
from media_service.redaction import Redaction
from media_service.settings import Settings

INTERRUPTED = 128 + 2
"""The exit code that shells report for a program which SIGINT ended."""

_OWN_TOKEN_SECONDS = 30.0

program = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def main() -> None:
    """Exits with 0, with 1 for what an operator can mend, 2 for a wrong command line, 130 on Ctrl-C."""
    try:
        program()
    except (BadSettings, CaptureError) as error:
        sys.exit(f"media-service: {error}")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"media-service {__version__}")
        raise typer.Exit


@program.callback()
def media_service(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Watch and drive cloud phones in a browser."""


@program.command()
def run(
    demo: Annotated[bool, typer.Option("--demo", help="Start a demo phone too.")] = False,
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=URI", help="Something else to watch: test:, file:CLIP or adb:SERIAL. Repeatable."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Listen on this port instead of PORT.")] = None,
) -> None:
    """Run the service until SIGTERM or Ctrl-C."""
    sources = _named_sources(source or ())
    effective = configuration.load(command_line={} if port is None else {"port": port})
    _start_logging(effective)
    # These bring aiohttp and aiortc, for which the other commands need not wait.
    from media_service.app import run as run_service
    from media_service.errors import CannotStart
    from media_service.rtc.media_port import NoMediaPort

    def ready(address: str) -> None:
        typer.secho(f"Open {address}", bold=True)

    try:
        _run_until_interrupted(run_service(effective.settings, sources=sources, demo=demo, ready=ready))
    except (CannotStart, NoMediaPort) as error:
        sys.exit(f"media-service: {error}")


# Click leaves alone the lines of a paragraph that begins with \b.
@program.command(epilog="\n\n".join(f"\b\n{paragraph}" for paragraph in by_hand().split("\n\n")))
def demo_phone(
    port: Annotated[int, typer.Option(min=0, max=65535, help="adb's port; 0 takes a free one.")] = 5555,
    size: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="The screen in pixels.")] = "720x1280",
    count: Annotated[int, typer.Option(min=1, max=100, help="So many phones, on this port and the next ones.")] = 1,
) -> None:
    """Run an emulated phone that adb can connect to, until Ctrl-C."""
    # These bring numpy and PyAV.
    from capture.demo_phone.farm import DemoPhone, run_demo_phones
    from capture.demo_phone.phone import PhoneSpec

    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size, re.ASCII)
    if match is None:
        raise typer.BadParameter(f"{size!r} is not WIDTHxHEIGHT, as 720x1280")
    if port + count > 65536:
        raise typer.BadParameter(f"{count} phones from port {port} on would need ports above 65535")
    specs = [
        PhoneSpec(
            name="demo" if number == 0 else f"demo-{number + 1}",
            port=port + number if port else 0,
            width=int(match[1]),
            height=int(match[2]),
        )
        for number in range(count)
    ]

    def ready(phones: Sequence[DemoPhone]) -> None:
        for phone in phones:
            typer.echo(f"demo phone at {phone.address}")

    try:
        _run_until_interrupted(run_demo_phones(specs, ready))
    except OSError as error:
        sys.exit(f"media-service: {error.strerror}")
    except ValueError as error:
        sys.exit(f"media-service: {error}")


@program.command()
def config(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="All settings there are, as in the README.")] = False,
) -> None:
    """Show the settings in effect and where each comes from."""
    if as_markdown:
        typer.echo(configuration.markdown(), nl=False)
        return
    effective = configuration.load()
    typer.echo(json.dumps(effective.values(), indent=2) if as_json else effective.table())
    for notice in effective.notices:
        typer.echo(f"media-service: {notice}", err=True)


@program.command()
def devices(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="The service to ask, as http://127.0.0.1:30006.")
    ] = None,
) -> None:
    """List what can be watched.

    The running service is asked. Where none answers, adb is: it knows neither captures nor containers.
    """
    settings = configuration.load().settings
    try:
        listed = device_listing.ask_service(url or own_address(settings.host, settings.port), _own_token(settings))
    except NoListing as error:
        if url is not None:
            sys.exit(f"media-service: {error}")
        typer.echo(f"media-service: {error}; asking adb", err=True)
        listed = _devices_of_adb(settings)
    if as_json:
        typer.echo(device_listing.as_json(listed))
    elif listed:
        typer.echo(device_listing.as_table(listed))
    else:
        typer.echo("no phones", err=True)


@program.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Try what the service will need, and say what to do about what does not work.

    Ends with 1 where something does not work at all; warnings do not count.
    """
    effective = configuration.load()
    # This brings numpy and PyAV, and the clients of everything that is asked.
    from media_service.doctor import diagnose

    # The findings say it all.
    log.configure("error", service_name=effective.settings.service_name, stream=sys.stderr)
    logging.disable()
    diagnosis = asyncio.run(diagnose(effective.settings, effective.notices))
    typer.echo(diagnosis.json() if as_json else diagnosis.text())
    if not diagnosis.is_well:
        raise typer.Exit(1)


@program.command()
def token(
    user: Annotated[str, typer.Option(metavar="USER", help="Whose it is: the sessions it opens are this user's.")],
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE", help="admin, operator, user or viewer; without one, as user. Repeatable."),
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option(metavar="DEVICE", help="Only this device: its id, serial or name. Repeatable.")
    ] = None,
    lifetime: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long it is good.")] = "1h",
) -> None:
    """Print a token, signed with JWT_SECRET."""
    settings = configuration.load().settings
    if settings.jwt_secret is None:
        sys.exit("media-service: JWT_SECRET is not set: tokens are signed with it")
    # These bring cryptography.
    from media_service.run_token import token_for

    try:
        seconds = Duration.parse(lifetime)
    except ValueError:
        raise typer.BadParameter(f"--for: {lifetime!r} is not a duration like 1h, 30m or 12h") from None
    try:
        made = token_for(
            settings.jwt_secret.get_secret_value(),
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            user=user,
            roles=role or (),
            devices=device,
            seconds=seconds,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(made)


def _own_token(settings: Settings) -> str | None:
    """What a service with the same settings takes for a moment; None where it needs none or others sign them."""
    if settings.jwt_secret is None:
        return None
    from media_service.run_token import token_for

    return token_for(
        settings.jwt_secret.get_secret_value(),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        user="media-service devices",
        roles=("viewer",),
        seconds=_OWN_TOKEN_SECONDS,
    )


def _devices_of_adb(settings: Settings) -> list[ListedDevice]:
    """What the adb server knows, and those of ADB_DEVICES that it does not."""
    log.configure("warning", service_name=settings.service_name, stream=sys.stderr)
    client = AdbClient(port=settings.android_adb_server_port, command_timeout=settings.adb_command_timeout)
    known = Devices({})
    known.adb_trouble = ""
    known.take(asyncio.run(client.devices()))
    for entry in map(parse_device_entry, map(str, settings.adb_devices)):
        known.expect(entry.serial, "ADB_DEVICES", entry.name, is_kept=False)
    return [ListedDevice.of(device) for device in known]


def _named_sources(texts: Iterable[str]) -> dict[str, str]:
    """The URIs by name; a name becomes part of the viewer's address."""
    sources: dict[str, str] = {}
    for text in texts:
        name, separator, uri = text.partition("=")
        if not separator or not uri or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
            raise typer.BadParameter(f"{text!r} is not NAME=URI with a name of letters, digits, dots and dashes")
        if name in sources:
            raise typer.BadParameter(f"{name!r} is named twice")
        sources[name] = uri
    return sources


def _start_logging(effective: Configuration) -> None:
    settings = effective.settings
    file = None
    if settings.enable_file_logging and settings.log_file is not None:
        file = LogFile(settings.log_file, settings.log_file_max_bytes, settings.log_file_backups)
    redact = Redaction.of(settings)
    log.configure(settings.log_level, service_name=settings.service_name, stream=sys.stderr, file=file, redact=redact)
    for notice in effective.notices:
        structlog.get_logger(__name__).warning(notice)


def _run_until_interrupted(work: Coroutine[Any, Any, None]) -> None:
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # It is not made for every platform.
        return asyncio.new_event_loop
    return uvloop.new_event_loop
