"""The benchmarks of bad networks run, so briefly that it takes seconds. What the numbers are is not looked at."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from benchmarks import networks, ten_and_one
from benchmarks.cells import CHOSEN, FULL, LOSSY, QUICK, SLOW, STEP, Cell
from benchmarks.crossing import NoPicture, Outcome, Step, Times
from benchmarks.link import NoNamespaces
from benchmarks.passage import Passage
from benchmarks.variants import DEFAULT, VARIANTS

TIMES = Times(settle=0.5, window=1.0, before=1.0, slow=1.0, after=1.0)

OUTCOME = Outcome(
    network=STEP.name,
    variant="adaptive",
    seconds=20.0,
    frames_per_second=30.0,
    freezes=0,
    freeze_seconds=0.1,
    passage=Passage(600, 0, 0.1, 0.2, 0.5, 720),
    megabits_per_second=2.0,
    keyframes_asked=0,
    keyframes_requested=0,
    levels=("source", "480p"),
    retransmitted=10,
    lost=0.02,
    service_core=0.1,
    service_waited=0.0,
    link_core=0.02,
    link_late=0.0001,
    step=Step(freeze=0.4, prompt_again=math.nan, back_up=12.0),
)


def verdicts(outcomes: Sequence[Outcome | NoPicture]) -> list[str]:
    return [line.split("|")[-2].strip() for line in networks.targets_table(outcomes).splitlines()[2:]]


@pytest.mark.parametrize("cells", [CHOSEN, FULL, QUICK])
def test_every_network_has_a_name_of_its_own(cells: Sequence[Cell]) -> None:
    assert len({cell.name for cell in cells}) == len(cells)
    assert {LOSSY, SLOW, STEP} <= set(cells)


def test_names_say_what_the_networks_are() -> None:
    assert LOSSY.name == "50 ms, 2% lost"
    assert STEP.name == "50 ms, 3 → 1 → 3 Mbit/s"
    assert "50 ms, 2% lost in bursts of 8" in {cell.name for cell in CHOSEN}


def test_every_target_has_a_verdict() -> None:
    assert verdicts([OUTCOME]) == ["met", "missed", "missed"], "what never came is missed"
    assert verdicts([replace(OUTCOME, network=LOSSY.name)]) == ["met"]
    assert verdicts([replace(OUTCOME, network=SLOW.name)]) == ["met"]
    assert verdicts([NoPicture(SLOW.name, "plain", "it never came")]) == ["missed"]


def test_who_saw_nothing_has_a_row_too() -> None:
    text = networks.networks_table([OUTCOME, NoPicture(SLOW.name, "plain", "it never came")])
    assert [line.count("|") for line in text.splitlines()] == [text.splitlines()[0].count("|")] * 4
    assert "source → 480p" in text


def test_the_default_variants_are_there() -> None:
    assert set(DEFAULT) <= set(VARIANTS)


@pytest.mark.browser
@pytest.mark.adb
def test_a_network_is_measured() -> None:
    try:
        [outcome] = networks.measure([STEP], [VARIANTS["remb"]], TIMES)
    except NoNamespaces as error:
        pytest.skip(str(error))
    assert isinstance(outcome, Outcome), outcome
    assert outcome.passage.shown > 0
    assert outcome.passage.delay_p95 > STEP.impairment.delay
    assert outcome.megabits_per_second > 0
    assert outcome.levels
    assert outcome.step is not None
    assert outcome.service_core > 0


@pytest.mark.browser
@pytest.mark.adb
def test_ten_and_one_are_measured() -> None:
    try:
        [outcome] = ten_and_one.measure([VARIANTS["adaptive"]], 2.0, settle=1.0)
    except NoNamespaces as error:
        pytest.skip(str(error))
    assert outcome.alone.frames_per_second > 0
    assert outcome.together.fewest_per_second > 0
    assert outcome.one is not None
    assert outcome.one.passage.shown > 0
    assert "with the one" in ten_and_one.many_table([outcome])
    assert ten_and_one.targets_table([outcome]).count("the ten") == 2
    assert ten_and_one.one_table([outcome]).count("500 kbit/s") == 1
