from pathlib import Path

import pytest

from ingest_api.events.enrichment.addresses import Keeping
from ingest_api.events.enrichment.countries import Countries
from ingest_api.events.enrichment.senders import Sender, Senders
from ingest_api.events.enrichment.user_agents import UserAgents
from tests.ingest_api.events.enrichment.geoip_given import write_geoip_file

_FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0"
_FIREFOX_DEVICE = ("desktop", "Windows", "10", "Firefox", "127", False)
_SERVER = Sender("192.0.2.0", "", "python-requests/2.31", "other", "", "", "Python Requests", "2", False)


@pytest.fixture(scope="module")
def user_agents() -> UserAgents:
    return UserAgents()


def _senders(
    user_agents: UserAgents, directory: Path, keeping: Keeping = "truncate", trusted_proxies: int = 0
) -> Senders:
    # The country of one address: it is found only when the address is looked up before it is cut.
    file = write_geoip_file(directory / "c.mmdb", {"203.0.113.7/32": {"country": {"iso_code": "DE"}}})
    return Senders(user_agents, Countries(file), keeping, trusted_proxies)


def test_sender_of_a_request_is_its_user_agent_and_its_peer(user_agents: UserAgents, tmp_path: Path) -> None:
    sender = _senders(user_agents, tmp_path).of_request(_FIREFOX.encode(), "203.0.113.7", b"198.51.100.1")

    assert sender == Sender("203.0.113.0", "DE", _FIREFOX, *_FIREFOX_DEVICE)


def test_sender_of_a_request_is_whom_the_proxy_names(user_agents: UserAgents, tmp_path: Path) -> None:
    senders = _senders(user_agents, tmp_path, trusted_proxies=1)

    sender = senders.of_request(b"", "10.0.0.1", b"198.51.100.1, 203.0.113.7")

    assert sender == Sender("203.0.113.0", "DE")


def test_sender_keeps_its_country_when_addresses_are_dropped(user_agents: UserAgents, tmp_path: Path) -> None:
    sender = _senders(user_agents, tmp_path, "drop").of_request(b"", "203.0.113.7", b"")

    assert sender == Sender("", "DE")


def test_sender_is_unknown_when_the_request_says_nothing(user_agents: UserAgents, tmp_path: Path) -> None:
    assert _senders(user_agents, tmp_path).of_request(b"", "", b"") == Sender()


def test_user_agent_is_cut(user_agents: UserAgents, tmp_path: Path) -> None:
    senders = _senders(user_agents, tmp_path)

    of_request = senders.of_request(b"\xe4" * 600, "", b"")
    of_event, _ = senders.of_event(b'{"userAgent":"' + b"x" * 600 + b'"}', Sender())

    assert (of_request.user_agent, of_event.user_agent) == ("\u00e4" * 512, "x" * 512)


@pytest.mark.parametrize(
    ("context", "sender", "stored"),
    [
        (b"{}", _SERVER, b"{}"),
        (b'{"a":{"userAgent":"x"}}', _SERVER, b'{"a":{"userAgent":"x"}}'),
        (b'{"ip":5,"userAgent":{}}', _SERVER, b'{"ip":5,"userAgent":{}}'),
        (b'{"ip":"","userAgent":null}', _SERVER, b'{"ip":"","userAgent":null}'),
        (b'{"ip":"203.0.113.7"}', _SERVER._replace(ip="203.0.113.0", country="DE"), b'{"ip":"203.0.113.0"}'),
        (b'{"ip":"office"}', _SERVER._replace(ip="", country=""), b'{"ip":"office"}'),
        (
            b'{"userAgent":"%s"}' % _FIREFOX.encode(),
            Sender("192.0.2.0", "", _FIREFOX, *_FIREFOX_DEVICE),
            b'{"userAgent":"%s"}' % _FIREFOX.encode(),
        ),
    ],
)
def test_sender_of_an_event_is_whom_its_context_names(
    user_agents: UserAgents, tmp_path: Path, context: bytes, sender: Sender, stored: bytes
) -> None:
    senders = _senders(user_agents, tmp_path)

    assert senders.of_event(context, _SERVER) == (sender, stored)
