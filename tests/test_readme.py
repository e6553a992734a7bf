"""What the README says of the project is so."""

import re
import tomllib
from pathlib import Path

import pytest
from playwright.async_api import Page

from media_service import configuration
from tests.fixtures.service import RunningService

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_table_of_settings_is_the_one_of_the_program() -> None:
    table = README.split("<!-- settings: media-service config --markdown -->\n")[1].split("<!-- /settings -->")[0]
    assert table == configuration.markdown()


def test_build_machines_run_the_test_command_that_it_names() -> None:
    assert "\nmake test " in README
    last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]
    assert last == "exec make test </dev/null"


def test_the_make_verbs_that_it_names_exist() -> None:
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert verbs == {"help", "run", "test", "check", "bench", "checklist", "install", "uninstall", "clean"}
    assert set(re.findall(r"\bmake ([a-z]+)\b(?= |`|$)", README, re.MULTILINE)) <= verbs


def test_the_files_that_it_links_to_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith(("https:", "#"))]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_changelog_has_this_version() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in changelog
    assert f"## [{version}]" in changelog


@pytest.mark.browser
@pytest.mark.adb
@pytest.mark.asyncio(loop_scope="session")
async def test_its_example_of_a_player_plays_and_taps(page: Page, demo_service: RunningService) -> None:
    example = README.split("```js\n")[1].split("```")[0]
    await page.goto(f"{demo_service.address}page.css")
    await page.set_content("<video autoplay muted></video>")
    # The demo phone may still be connecting.
    device = await page.evaluate(
        """async () => {
            for (;;) {
                const { devices } = await (await fetch("/api/media/devices")).json();
                const online = devices.find((each) => each.state === "online");
                if (online) return online.deviceId;
                await new Promise((resolve) => setTimeout(resolve, 20));
            }
        }"""
    )
    acknowledged, left = await page.evaluate(
        f"""async () => {{
            {example.replace("192.168.1.20:5555", device).replace('type: "touch"', 'seq: 7, type: "touch"')}
            const said = await new Promise((resolve) => (control.onmessage = ({{ data }}) => {{
                if (JSON.parse(data).type === "input-ack") resolve(data);
            }}));
            await new Promise((resolve) => document.querySelector("video").requestVideoFrameCallback(resolve));
            const gone = await fetch(answer.headers.get("Location"), {{ method: "DELETE" }});
            peer.close();
            return [JSON.parse(said), gone.ok];
        }}"""
    )
    assert (acknowledged["type"], acknowledged["seq"]) == ("input-ack", 7)
    assert left is True
