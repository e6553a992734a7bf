"""Tickets: once, soon, and never at the cost of others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.caller import Caller, Capability
from signaling.errors import Full, Unauthorized
from signaling.tickets import LIFETIME, MAX_TICKETS, MAX_TICKETS_OF_ONE, Tickets

ANN = Caller("ann", "192.0.2.1", frozenset({Capability.VIEW}), {"a": frozenset({Capability.VIEW})}, 5000.0, True)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tickets(clock: Clock) -> Tickets:
    return Tickets(clock)


def void(tickets: Tickets, ticket: str) -> bool:
    try:
        tickets.redeem(ticket)
    except Unauthorized as refusal:
        return refusal.code == "ticket_invalid"
    return False


def test_a_ticket_is_whose_it_was_given_to(tickets: Tickets) -> None:
    ticket, seconds = tickets.issue(ANN)
    assert seconds == LIFETIME
    assert tickets.redeem(ticket) == ANN
    assert len(tickets) == 0


def test_a_ticket_is_used_once(tickets: Tickets) -> None:
    ticket, _ = tickets.issue(ANN)
    tickets.redeem(ticket)
    assert void(tickets, ticket)


def test_a_ticket_is_used_soon(tickets: Tickets, clock: Clock) -> None:
    soon, _ = tickets.issue(ANN)
    late, _ = tickets.issue(ANN)
    clock.now += LIFETIME - 0.1
    assert tickets.redeem(soon) == ANN
    clock.now += 0.1
    assert void(tickets, late)


def test_a_ticket_is_good_no_longer_than_its_token(tickets: Tickets, clock: Clock) -> None:
    clock.now = 4990.0
    ticket, seconds = tickets.issue(ANN)
    assert seconds == 10
    clock.now = 5000.0
    assert void(tickets, ticket)


def test_no_two_are_the_same(tickets: Tickets) -> None:
    given_out = {tickets.issue(ANN)[0] for _ in range(200)}
    assert len(given_out) == 200
    assert all(len(ticket) >= 40 and ticket.isascii() for ticket in given_out)


def test_who_takes_many_makes_only_their_own_void(tickets: Tickets) -> None:
    bob = Caller("bob")
    other, _ = tickets.issue(bob)
    own = [tickets.issue(ANN)[0] for _ in range(MAX_TICKETS_OF_ONE + 3)]
    assert len(tickets) == MAX_TICKETS_OF_ONE + 1
    assert [void(tickets, ticket) for ticket in own[:4]] == [True, True, True, False]
    assert tickets.redeem(other) == bob


def test_users_without_tokens_are_their_addresses(tickets: Tickets) -> None:
    first, _ = tickets.issue(Caller(address="192.0.2.1"))
    for _ in range(MAX_TICKETS_OF_ONE):
        tickets.issue(Caller(address="192.0.2.2"))
    assert tickets.redeem(first).address == "192.0.2.1"


def test_there_is_an_end_to_all_of_them(tickets: Tickets, clock: Clock) -> None:
    first, _ = tickets.issue(ANN)
    for number in range(MAX_TICKETS - 1):
        tickets.issue(Caller(f"user-{number}"))
    with pytest.raises(Full) as full:
        tickets.issue(Caller("one more"))
    assert (full.value.code, full.value.retry_after) == ("too_many_tickets", LIFETIME)
    assert tickets.redeem(first) == ANN
    tickets.issue(Caller("one more"))
    clock.now += LIFETIME
    tickets.issue(Caller("much later"))
    assert len(tickets) == 1


@given(st.text(max_size=60) | st.sampled_from(["\udcff", "\x00", "A" * 100_000]))
def test_any_text_is_no_ticket(text: str) -> None:
    tickets = Tickets()
    tickets.issue(ANN)
    assert void(tickets, text)
    assert len(tickets) == 1
