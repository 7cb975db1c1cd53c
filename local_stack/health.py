"""Asks a server whether it is ready."""

import os
import socket
import urllib.request
from urllib.parse import urlsplit

import redis

# Straight to the loopback interface, whatever proxy the user's shell is set to.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str, timeout_seconds: float = 2.0) -> bool:
    """Return whether a server is ready.

    `http://` addresses must answer a GET with 2xx, `redis://` ones a PING (not while they load their data), and
    `tcp://host:port` must accept a connection.
    """
    scheme = urlsplit(url).scheme
    ask = {"http": _http_answers, "redis": _redis_answers, "tcp": _tcp_accepts}[scheme]
    return ask(url, timeout_seconds)


def is_alive(pid: int) -> bool:
    """Return whether a process with this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _http_answers(url: str, timeout_seconds: float) -> bool:
    try:
        with _DIRECT.open(url, timeout=timeout_seconds) as answer:
            return bool(200 <= answer.status < 300)
    except OSError:
        return False


def _redis_answers(url: str, timeout_seconds: float) -> bool:
    client = redis.Redis.from_url(url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _tcp_accepts(url: str, timeout_seconds: float) -> bool:
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname, address.port or 0), timeout_seconds):
            return True
    except OSError:
        return False
