"""Questions that a process answers when it is ready."""

import urllib.error
import urllib.request
from collections.abc import Callable

import redis

HealthCheck = Callable[[], bool]

# Straight to the loopback interface, whatever proxy the user's shell is set to.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def http_answers(url: str, timeout_seconds: float = 2.0) -> bool:
    """Return whether a GET of the address is answered with a 2xx status."""
    try:
        with _DIRECT.open(url, timeout=timeout_seconds) as answer:
            return bool(200 <= answer.status < 300)
    except (OSError, urllib.error.URLError):
        return False


def valkey_answers(url: str, timeout_seconds: float = 2.0) -> bool:
    """Return whether the server at the redis:// address answers PING; while it loads its data it does not."""
    client = redis.Redis.from_url(url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
