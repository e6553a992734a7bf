"""Settings read from outside: where each value came from, what is wrong with them, and how they are shown."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import SecretStr, ValidationError
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from media_service.setting_values import Allowed
from media_service.settings import Settings

_FIELDS = Settings.model_fields
_COMMENT = re.compile(r"\s+#.*$", re.DOTALL)

_IGNORED = {
    "GIN_MODE": "it belonged to the service that this one takes the place of; LOG_LEVEL says how much is logged",
    "RECORDING_STORAGE_PATH": "this version does not record",
}
"""Names that older files have, and why they have no effect."""


class BadSettings(Exception):
    """Settings that the service cannot start with; the text says everything that is wrong, a line for each."""

    def __init__(self, problems: list[str]) -> None:
        count = "1 setting is wrong" if len(problems) == 1 else f"{len(problems)} settings are wrong"
        super().__init__("\n  ".join([f"{count}:", *problems]))


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings in effect."""

    settings: Settings

    origins: Mapping[str, str]
    """Where each setting's value is from: `default`, `.env`, `environment` or `command line`."""

    notices: tuple[str, ...]
    """A line for each name that is ignored and for each variable that looks like a setting's name with a typo."""

    def table(self) -> str:
        """Every setting with its value and origin, secrets masked, in aligned columns."""
        rows = [(name.upper(), _text(getattr(self.settings, name)), self.origins[name]) for name in _FIELDS]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        return "\n".join(f"{name:{widths[0]}}  {value:{widths[1]}}  {origin}" for name, value, origin in rows)

    def values(self) -> dict[str, dict[str, object]]:
        """Every setting as `{NAME: {"value": …, "source": …}}` with JSON's types, secrets masked."""
        return {
            name.upper(): {"value": _json(getattr(self.settings, name)), "source": self.origins[name]}
            for name in _FIELDS
        }


def load(env_file: Path = Path(".env"), *, command_line: Mapping[str, object] | None = None) -> Configuration:
    """Read the environment, then `env_file` where it says nothing, with `command_line` (by field name) over both.

    An empty value counts as not set. Raises `BadSettings`.
    """
    try:
        dot_env = DotEnvSettingsSource(Settings, env_file=env_file).env_vars
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings([f"{env_file} cannot be read: {error}"]) from error
    environment = _without_comments(EnvSettingsSource(Settings).env_vars)
    layers: dict[str, Mapping[str, object]] = {
        ".env": dot_env,
        "environment": environment,
        "command line": command_line or {},
    }
    values: dict[str, object] = {}
    origins = dict.fromkeys(_FIELDS, "default")
    for origin, layer in layers.items():
        for name in _FIELDS.keys() & layer.keys():
            values[name], origins[name] = layer[name], origin

    misspelt = list(_misspelt(dot_env, ".env"))
    suspects = tuple(_misspelt(environment, "environment"))
    ignored = tuple(_ignored({".env": dot_env, "environment": environment}))
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise BadSettings([*_problems(error, values, origins), *misspelt, *suspects]) from error
    if misspelt:
        raise BadSettings([*misspelt, *suspects])
    return Configuration(settings, origins, (*ignored, *suspects))


def markdown() -> str:
    """The table of all settings in the README."""
    lines = ["| Name | Default | Meaning | Allowed |", "|---|---|---|---|"]
    for name, field in _FIELDS.items():
        default = f"`{_text(field.default)}`" if _text(field.default) else ""
        lines.append(f"| `{name.upper()}` | {default} | {field.description} | {_allowed(name)} |")
    return "\n".join(lines) + "\n"


def _allowed(name: str) -> str:
    return next(item.words for item in _FIELDS[name].metadata if isinstance(item, Allowed))


def _problems(error: ValidationError, values: Mapping[str, object], origins: Mapping[str, str]) -> Iterator[str]:
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for detail in error.errors():
        name = str(detail["loc"][0])
        # Our own checks say what is wrong; of pydantic's, `Allowed` says it in our words.
        reasons[name] += [str(detail["ctx"]["error"])] if detail["type"] == "value_error" else []
    for name in reasons:
        said = "; ".join([*reasons[name], f"it must be {_allowed(name)}"])
        yield f"{name.upper()} {_shown(name, values.get(name, _FIELDS[name].default), origins[name])}: {said}"


def _shown(name: str, value: object, origin: str) -> str:
    if value is None:
        return "is not set"
    return f"= {SecretStr(str(value)) if SecretStr in get_args(_FIELDS[name].annotation) else repr(value)} ({origin})"


def _without_comments(environment: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """What systemd hands on from a file in which comments stand behind values, as `.env` files may have them."""
    return {
        name: value
        if value is None or name not in _FIELDS or SecretStr in get_args(_FIELDS[name].annotation)
        else _COMMENT.sub("", value)
        for name, value in environment.items()
    }


def _ignored(layers: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    for name, why in _IGNORED.items():
        origins = [origin for origin, layer in layers.items() if name.lower() in layer]
        if origins:
            yield f"{name} ({origins[-1]}) is ignored: {why}"


def _misspelt(names: Mapping[str, object], origin: str) -> Iterator[str]:
    for name in sorted(names.keys() - _FIELDS.keys()):
        for known in _FIELDS:
            # Short names have innocent neighbours, as HOST has HOME.
            allowed = 2 if len(known) >= 8 else 1
            if abs(len(name) - len(known)) <= allowed and _edits(name, known) <= allowed:
                yield f"{name.upper()} ({origin}) is not a setting: is {known.upper()} meant?"


def _edits(left: str, right: str) -> int:
    """How many letters must be added, left out, replaced or swapped with their neighbour to make one the other."""
    rows = [list(range(len(right) + 1))]
    for i, letter in enumerate(left, 1):
        row = [i]
        for j, other in enumerate(right, 1):
            edits = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == right[j - 2] and left[i - 2] == other:
                edits = min(edits, rows[-2][j - 2] + 1)
            row.append(edits)
        rows.append(row)
    return rows[-1][-1]


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)


def _json(value: object) -> object:
    match value:
        case None | bool() | int():
            return value
        case tuple():
            return [str(item) for item in value]
        case _:
            return str(value)
