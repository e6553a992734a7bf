"""Bodies as models: whatever comes is read or refused, and no refusal repeats a secret."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from signaling.bodies import (
    AnswerRequest,
    CandidateRequest,
    CandidatesRequest,
    DeviceCandidateRequest,
    DeviceOfferRequest,
    SessionRequest,
)
from signaling.errors import MalformedMessage
from signaling.json_body import parse_json

MODELS = (
    SessionRequest,
    AnswerRequest,
    CandidateRequest,
    CandidatesRequest,
    DeviceOfferRequest,
    DeviceCandidateRequest,
)
SECRET = "s3cr3t-s3cr3t"


def refusal(model: type[BaseModel], body: bytes) -> str:
    with pytest.raises(MalformedMessage) as refused:
        parse_json(body, model)
    return refused.value.detail


def said(model: type[BaseModel], value: object) -> str:
    """The refusal of a value that may be as good as any; empty when it is."""
    try:
        parse_json(json.dumps(value).encode(), model)
    except MalformedMessage as error:
        return error.detail
    return ""


@pytest.mark.parametrize(
    ("model", "body", "detail"),
    [
        (SessionRequest, b"[1]", "the body must be a JSON object, not an array of 1 elements"),
        (SessionRequest, b"{", "the body is not JSON: EOF while parsing an object at line 1 column 1"),
        (SessionRequest, b"{}", "deviceId is missing: it must be a string of 1 to 128 characters"),
        (SessionRequest, b'{"deviceId": 5}', "deviceId must be a string of 1 to 128 characters, not 5"),
        (
            SessionRequest,
            b'{"deviceId": "%s"}' % (b"x" * 129),
            "deviceId must be a string of 1 to 128 characters, not a string of 129 characters",
        ),
        (
            SessionRequest,
            b'{"deviceId": "a", "offer": 5}',
            "offer must be an object or a string of 1 to 65536 characters or null, not 5",
        ),
        (
            AnswerRequest,
            b'{"sessionId": "a", "answer": {"type": "offer", "sdp": "v=0"}}',
            'answer.type must be "answer", not "offer"',
        ),
        (
            CandidatesRequest,
            b'{"sessionId": "a", "candidates": [null, {"candidate": "", "sdpMLineIndex": -1}]}',
            "candidates[1].sdpMLineIndex must be an integer from 0 to 65535 or null, not -1",
        ),
        (
            CandidatesRequest,
            b'{"sessionId": "a", "candidates": [%s]}' % b",".join([b'""'] * 257),
            "candidates must be an array of at most 256 elements, not an array of 257 elements",
        ),
    ],
)
def test_what_is_told(model: type[BaseModel], body: bytes, detail: str) -> None:
    assert refusal(model, body) == detail


def test_what_is_unknown_is_ignored() -> None:
    asked = parse_json(b'{"deviceId": "a", "user_id": "b", "userId": "c", "profile": {"deep": [NaN]}}', SessionRequest)
    assert asked.user_id == "c"


@given(st.sampled_from(MODELS), st.binary())
def test_any_bytes(model: type[BaseModel], body: bytes) -> None:
    assert refusal(model, body)


_NAMES = st.sampled_from(
    "deviceId userId offer answer sessionId candidate candidates type sdp sdpMid sdpMLineIndex".split()
)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
    | st.sampled_from(["offer", "answer", "v=0"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=6),
    max_leaves=12,
)


@given(st.sampled_from(MODELS), st.dictionaries(_NAMES, _VALUES))
def test_any_json(model: type[BaseModel], value: Any) -> None:
    assert len(said(model, value)) < 300


def _hidden(value: Any) -> Any:
    """`value` with every text a secret."""
    if isinstance(value, dict):
        return {name: _hidden(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    return SECRET if isinstance(value, str) else value


@given(st.sampled_from(MODELS), st.sampled_from(["offer", "answer", "candidate", "candidates"]), _VALUES)
def test_no_description_and_no_candidate_is_repeated(model: type[BaseModel], name: str, value: Any) -> None:
    detail = said(model, {"deviceId": "a", "sessionId": "a", name: _hidden(value)})
    # A wrong `type`, or the name of an m-section, is none.
    assert SECRET not in detail or detail.partition(" ")[0].endswith((".type", ".sdpMid"))
