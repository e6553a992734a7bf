"""A client that holds every answer against the OpenAPI document of the server that gave it."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

from aiohttp import hdrs
from jsonschema import Draft202012Validator
from multidict import CIMultiDictProxy

from signaling.problem_codes import PROBLEM_CODES
from tests.signaling.memory_service import Client

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that the document has."""

    status: int
    headers: CIMultiDictProxy[str]
    value: Any
    """Its JSON, or its text."""

    @property
    def problem(self) -> tuple[int, str, str]:
        """Status, code and text of a refusal."""
        return self.status, self.value["code"], self.value["detail"]


@dataclass(frozen=True, slots=True)
class DocumentedClient:
    """Asks, and fails on an answer that the document does not have."""

    client: Client
    document: Node

    @classmethod
    async def of(cls, client: Client) -> Self:
        async with client.get("/api/media/openapi.json") as response:
            return cls(client, await response.json())

    async def ask(self, method: str, path: str, **request: Any) -> Reply:
        async with self.client.request(method, path, **request) as response:
            text = await response.text()
            is_json = response.content_type.endswith("json")
            reply = Reply(
                response.status, response.headers, await response.json(content_type=None) if is_json else text
            )
            described = self._operation(method, path)["responses"][str(response.status)]
            content = described.get("content", {})
            assert (response.content_type in content) if text else not content
        for name, header in described.get("headers", {}).items():
            assert name in reply.headers or not header["required"]
        if is_json:
            self._check(content[response.content_type]["schema"], reply.value)
        if response.content_type == "application/problem+json":
            self._check_problem(described, reply)
        return reply

    def _operation(self, method: str, path: str) -> Node:
        paths = self.document["paths"]
        template = path if path in paths else next(each for each in paths if _fits(each, path))
        operation: Node = paths[template][method.lower()]
        return operation

    def _check(self, schema: Node, value: object) -> None:
        validator = Draft202012Validator({**schema, "components": self.document["components"]})
        if errors := [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]:
            raise AssertionError("\n".join(errors))

    def _check_problem(self, described: Node, reply: Reply) -> None:
        status, code, detail = reply.problem
        # Devices and tokens have codes beside those that are described one by one.
        assert code not in PROBLEM_CODES or f"`{code}`" in described["description"]
        assert reply.value["status"] == status >= HTTPStatus.BAD_REQUEST
        assert reply.value["error"] == detail
        assert reply.headers[hdrs.CACHE_CONTROL] == "no-store"


def _fits(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) is not None
