"""The second net under the log: what gets into a line by mistake is blacked out before it is written.

The first is that nobody logs a secret; `tests/media_service/test_secrets_in_log.py` sees to that.
"""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from media_service.settings import Settings

BLACKENED = "[redacted]"

_SHORTEST = 6
"""Letters of a secret that is looked for: the log is full of shorter words."""

_SHAPES = (
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*",  # a JSON Web Token
    r"(?<=ice-pwd:)[A-Za-z0-9+/]{22,256}",
    r"(?<=candidate:)[^ \"\\]{1,32} [12] (?:udp|tcp|UDP|TCP) [^\"\\]{8,200}",
    r"(?<=://)[^ /@\"\\:]{1,200}:[^ /@\"\\]{1,200}(?=@)",  # who and by which password, in a URL
)


class Redaction:
    """Blackens known secrets, and what looks like a token, an ICE password or candidate, or a URL's password."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
        # Of two secrets where one begins with the other, the longer one is to be found.
        literals = map(re.escape, sorted(known, key=len, reverse=True))
        self._pattern = re.compile("|".join((*literals, *_SHAPES)))

    @classmethod
    def of(cls, settings: Settings) -> "Redaction":
        """For every secret of `settings`."""
        return cls(_secrets(settings))

    def __call__(self, text: str) -> str:
        """`text`, as it may be shown."""
        return self._pattern.sub(BLACKENED, text)


def _secrets(settings: Settings) -> Iterator[str]:
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            secret = value.get_secret_value()
            # A URL's host and path are no secret, and are wanted in the log.
            password = urlsplit(secret).password if "://" in secret else secret
            if password is not None:
                yield unquote(password) if "://" in secret else password


def _forms(secret: str) -> tuple[str, ...]:
    """How it may be written: as it is, in JSON, in a URL."""
    return secret, json.dumps(secret)[1:-1], quote(secret, safe="")
