"""The alert rules: valid, tried, about metrics that there are, and each with what to do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from media_service.settings import Settings
from tests.deploy.exported import exported, named
from tests.fixtures.service import RunningService

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here: install prometheus")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "alerts.yml"],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "alerts.test.yml"],
    ],
    ids=" ".join,
)
def test_promtool_agrees(arguments: list[str]) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description", "action"}, rule["alert"]
        assert all(len(text) > 10 for text in rule["annotations"].values()), rule["alert"]
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) >= 15


def test_what_to_do_names_settings_that_there_are() -> None:
    actions = " ".join(rule["annotations"]["action"] + rule["annotations"]["description"] for rule in rules())
    mentioned = set(re.findall(r"\b[A-Z0-9]+(?:_[A-Z0-9]+)+\b", actions))
    assert mentioned
    assert mentioned - {name.upper() for name in Settings.model_fields} == set()


def test_the_tests_of_the_rules_try_most_of_them() -> None:
    tried = set(re.findall(r"alertname: (\w+)", (FOLDER / "alerts.test.yml").read_text()))
    assert len(tried & {rule["alert"] for rule in rules()}) >= 14


@pytest.mark.adb
async def test_every_metric_is_exported(demo_service: RunningService) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{demo_service.address}metrics") as response:
        there = exported(await response.text())
    assert named(rule["expr"] for rule in rules()) - there == set()
