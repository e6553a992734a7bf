"""How findings are shown."""

import json

from media_service.diagnosis.finding import Diagnosis, info, ok, problem, warning

FINDINGS = (
    info("Versions", "media-service 1"),
    ok("Ports", "free"),
    problem("Ports", "taken\nby another", "stop it"),
    warning("UDP", "small buffer", "sysctl -w"),
)


def test_as_text() -> None:
    assert Diagnosis(FINDINGS).text() == (
        "Versions\n"
        "  info     media-service 1\n"
        "\n"
        "Ports\n"
        "  ok       free\n"
        "  problem  taken\n"
        "           by another\n"
        "           > stop it\n"
        "\n"
        "UDP\n"
        "  warning  small buffer\n"
        "           > sysctl -w\n"
        "\n"
        "1 problem, 1 warning"
    )


def test_as_json() -> None:
    said = json.loads(Diagnosis(FINDINGS).json())
    assert said["isWell"] is False
    assert said["findings"][2] == {
        "area": "Ports",
        "status": "problem",
        "text": "taken\nby another",
        "remedy": "stop it",
    }


def test_warnings_are_well() -> None:
    diagnosis = Diagnosis((FINDINGS[0], FINDINGS[3], FINDINGS[3]))
    assert diagnosis.is_well
    assert diagnosis.text().endswith("\nno problems, 2 warnings")


def test_nothing_at_all() -> None:
    assert Diagnosis(()).text() == "no problems, no warnings"
    assert Diagnosis((ok("Empty", ""),)).text().splitlines()[:2] == ["Empty", "  ok"]


def test_secrets_in_the_words_of_others_are_not_shown() -> None:
    diagnosis = Diagnosis((problem("Redis", "AUTH hush", "see hush"),), lambda text: text.replace("hush", "…"))
    assert "hush" not in diagnosis.text() + diagnosis.json()
