"""The controlled agent, with the checks of aioice."""

from typing import Any

import pytest
from aioice import stun as oracle

from media_service.rtc import stun
from media_service.rtc.ice import CONSENT_TIMEOUT, IceAgent, new_credentials
from media_service.rtc.path import Path
from signaling.candidates import parse_credentials
from signaling.jsep import Candidate, IceCredentials
from tests.rtc.joined import RecordingPath
from tests.rtc.udp_end import check

REMOTE = IceCredentials("them", "their password of 22+ chars")


class Browser:
    """An agent of ours and the paths that checks come by."""

    def __init__(self) -> None:
        self.local = new_credentials()
        self.selected: list[Path] = []
        self.agent = IceAgent(self.local, 0.0, self.selected.append)
        self.first, self.second = RecordingPath(), RecordingPath()
        self.second.remote = ("2001:db8::7", 50_008)

    def check(self, path: RecordingPath, now: float, credentials: IceCredentials | None = None, **options: Any) -> bool:
        """Have a check come by `path`; whether it was taken."""
        request = stun.parse(bytes(check(credentials or self.local, **options)))
        assert request is not None
        return self.agent.check_received(request, path, now)

    def answer(self, path: RecordingPath) -> oracle.Message:
        """The one datagram that was sent back, which must be authentic."""
        (datagram,) = path.datagrams
        path.datagrams.clear()
        message = oracle.parse_message(datagram)
        assert message.check_message_integrity(self.local.password.encode())
        return message


@pytest.fixture
def browser() -> Browser:
    return Browser()


def test_new_credentials_are_what_sdp_allows() -> None:
    made = [new_credentials() for _ in range(200)]
    assert len({each.username_fragment for each in made}) == len(made)
    for each in made:
        assert parse_credentials(each.username_fragment, each.password) == each
        # RFC 8839 section 5.4: ice-char is a letter, a digit, + or /.
        assert (each.username_fragment + each.password).replace("+", "a").replace("/", "a").isalnum()


def test_a_check_is_answered_with_the_address_it_came_from(browser: Browser) -> None:
    assert browser.check(browser.first, 1.0)
    answer = browser.answer(browser.first)
    assert answer.message_class is oracle.Class.RESPONSE
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == browser.first.remote
    assert browser.selected == [browser.first]
    assert not browser.agent.is_nominated


def test_a_wrong_password_is_not_answered(browser: Browser) -> None:
    assert not browser.check(browser.first, 1.0, IceCredentials(browser.local.username_fragment, "wrong"))
    assert browser.first.datagrams == []
    assert browser.agent.path is None
    assert browser.agent.last_check == 0.0


def test_an_agent_that_wants_to_be_controlled_is_told_to_control(browser: Browser) -> None:
    assert browser.check(browser.first, 1.0, ICE_CONTROLLED=9)
    answer = browser.answer(browser.first)
    assert answer.message_class is oracle.Class.ERROR
    assert answer.error_code == 487
    assert browser.agent.path is None


def test_the_nominated_path_is_followed(browser: Browser) -> None:
    browser.check(browser.first, 1.0)
    browser.check(browser.second, 1.1)
    assert browser.agent.path is browser.first, "a check alone is no nomination"
    browser.check(browser.second, 1.2, nominate=True)
    assert browser.agent.path is browser.second
    browser.check(browser.second, 1.3, nominate=True)
    browser.check(browser.first, 1.4)
    assert browser.selected == [browser.first, browser.second]
    assert browser.agent.is_nominated
    assert browser.agent.path_changes == 1
    browser.check(browser.first, 1.5, nominate=True)
    assert browser.selected == [browser.first, browser.second, browser.first]


def test_consent_lasts_as_long_as_checks_come(browser: Browser) -> None:
    browser.check(browser.first, 10.0)
    assert browser.agent.has_consent(10.0 + CONSENT_TIMEOUT)
    assert not browser.agent.has_consent(10.1 + CONSENT_TIMEOUT)
    browser.check(browser.first, 20.0, IceCredentials("x", "wrong"))
    assert not browser.agent.has_consent(30.0), "a check that is not authentic is no consent"


def test_a_restart_keeps_the_path_until_another_is_nominated(browser: Browser) -> None:
    browser.check(browser.first, 1.0, nominate=True)
    before, after = browser.local, new_credentials()
    browser.agent.restart(after, REMOTE)
    assert browser.agent.path is browser.first
    assert not browser.agent.is_nominated
    assert not browser.check(browser.first, 2.0, before)
    browser.local = after
    assert browser.check(browser.second, 2.0, nominate=True)
    assert browser.selected == [browser.first, browser.second]


def test_our_own_check_is_what_the_browser_expects(browser: Browser) -> None:
    assert browser.agent.check(bytes(12)) is None
    browser.agent.remote = REMOTE
    datagram = browser.agent.check(bytes(range(12)))
    assert datagram is not None
    request = oracle.parse_message(datagram)
    assert request.attributes["USERNAME"] == f"them:{browser.local.username_fragment}"
    assert "ICE-CONTROLLED" in request.attributes
    assert "USE-CANDIDATE" not in request.attributes
    assert request.check_message_integrity(REMOTE.password.encode())


def test_remote_candidates_are_bounded_and_known_once(browser: Browser) -> None:
    candidates = [Candidate("udp", "192.0.2.1", port, 1) for port in range(1000, 1100)]
    assert browser.agent.add_candidates(candidates[:2]) == tuple(candidates[:2])
    assert browser.agent.add_candidates(candidates) == tuple(candidates[2:16])
    assert browser.agent.add_candidates(candidates) == ()
    assert browser.agent.candidates == tuple(candidates[:16])


def test_the_round_trip_is_that_of_an_authentic_answer(browser: Browser) -> None:
    agent = browser.agent

    def answer(password: str, kind: oracle.Class = oracle.Class.RESPONSE) -> stun.StunMessage:
        message = oracle.Message(oracle.Method.BINDING, kind, transaction_id=bytes(12))
        message.add_message_integrity(password.encode())
        parsed = stun.parse(bytes(message))
        assert parsed is not None
        return parsed

    agent.check_answered(answer(REMOTE.password), 10.0, 10.02)
    assert agent.round_trip is None, "there were no credentials to check it by"
    agent.remote = REMOTE
    agent.check_answered(answer("wrong"), 10.0, 10.02)
    agent.check_answered(answer(REMOTE.password, oracle.Class.ERROR), 10.0, 10.02)
    assert agent.round_trip is None
    agent.check_answered(answer(REMOTE.password), 10.0, 10.02)
    assert agent.round_trip == pytest.approx(0.02)
