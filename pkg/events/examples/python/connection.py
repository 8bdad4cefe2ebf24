"""How the examples connect to Redis."""
import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry


def connect(url):
    """A client that tries again, for about 15 seconds, when Redis does not answer.

    An XADD whose answer was lost is sent again with the same event, so with the same id: the bus drops the repeat.
    """
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        retry=Retry(ExponentialBackoff(cap=2, base=0.1), retries=10),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError],
    )
