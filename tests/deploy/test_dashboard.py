"""The Grafana dashboard: can be imported, and shows metrics that there are."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.deploy.exported import exported, named
from tests.fixtures.service import RunningService

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "deploy" / "grafana" / "media-service-dashboard.json").read_text()
)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]
VARIABLES = {variable["name"] for variable in DASHBOARD["templating"]["list"]}


def test_it_can_be_imported() -> None:
    # An id would overwrite a dashboard of whoever imports it; the uid keeps links alive.
    assert DASHBOARD.get("id") is None
    assert DASHBOARD["uid"] == "media-service"
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24, panel["title"]


def test_panels_do_not_lie_on_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in PANELS:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_the_data_source_can_be_chosen() -> None:
    assert {"datasource", "instance"} <= VARIABLES
    for panel in PANELS:
        for part in (panel, *panel.get("targets", ())):
            if panel["type"] != "row":
                assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]


def test_every_panel_shows_the_chosen_instances() -> None:
    assert [text for text in EXPRESSIONS if 'instance=~"$instance"' not in text] == []
    used = {name for text in EXPRESSIONS for name in re.findall(r"\$\{?(\w+)", text)}
    assert used <= VARIABLES | {"__rate_interval"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here: install prometheus")
def test_every_expression_is_valid(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel_{number}", "expr": text.replace("$__rate_interval", "1m").replace("$instance", ".*")}
        for number, text in enumerate(EXPRESSIONS)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.adb
async def test_every_metric_is_exported(demo_service: RunningService) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{demo_service.address}metrics") as response:
        there = exported(await response.text())
    queries = [variable["definition"] for variable in DASHBOARD["templating"]["list"] if "definition" in variable]
    assert named([*EXPRESSIONS, *queries]) - there == set()
