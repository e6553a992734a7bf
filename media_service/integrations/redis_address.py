"""Where Redis is, and why it cannot be used there."""

from dataclasses import dataclass, field

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A database of a Redis."""

    host: str
    port: int
    database: int = 0
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"

    def client(self, name: str, patience: float) -> Redis:
        """One that waits `patience` seconds for an answer, and tries nothing twice."""
        return Redis(
            host=self.host,
            port=self.port,
            db=self.database,
            password=self.password,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 0),
            client_name=name,
        )

    def reason(self, error: BaseException, patience: float) -> str:
        """What `error` of such a client means, in words."""
        if isinstance(error, AuthenticationError):
            reason = "the password is refused" if self.password else "it wants a password"
        elif isinstance(error, TimeoutError | RedisTimeout):
            reason = f"no answer within {patience:g} s"
        elif isinstance(error, ResponseError):
            reason = f"it answers: {error}"
        else:
            reason = str(error) or type(error).__name__
        return f"{self}: {reason}"[:300]
