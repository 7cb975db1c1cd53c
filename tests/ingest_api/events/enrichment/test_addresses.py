import json
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.events.enrichment.addresses import (
    Keeping,
    kept_address,
    read_address,
    sender_address,
    without_full_addresses,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7:4711 ", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("unknown", None),
        ("", None),
        ("300.1.1.1", None),
    ],
)
def test_address_is_read_in_every_usual_form(text: str, address: str | None) -> None:
    assert read_address(text) == (ip_address(address) if address else None)


@pytest.mark.parametrize(
    ("forwarded_for", "trusted_proxies", "address"),
    [
        ("", 0, "192.0.2.1"),
        ("203.0.113.7", 0, "192.0.2.1"),
        ("", 1, "192.0.2.1"),
        ("203.0.113.7", 1, "203.0.113.7"),
        ("198.51.100.9, 203.0.113.7", 1, "203.0.113.7"),
        ("198.51.100.9, 203.0.113.7, 10.0.0.1", 2, "203.0.113.7"),
        ("203.0.113.7", 2, "203.0.113.7"),
        ("forged, 203.0.113.7", 1, "203.0.113.7"),
        ("unknown", 1, None),
    ],
)
def test_only_what_trusted_proxies_appended_counts(
    forwarded_for: str, trusted_proxies: int, address: str | None
) -> None:
    found = sender_address("192.0.2.1", forwarded_for, trusted_proxies)

    assert found == (ip_address(address) if address else None)


@pytest.mark.parametrize(
    ("address", "kept"),
    [("203.0.113.7", "203.0.113.0"), ("2001:db8:1:2:3::4", "2001:db8:1::"), ("::1", "::")],
)
def test_address_is_kept_without_its_last_part(address: str, kept: str) -> None:
    assert kept_address(ip_address(address), "truncate") == kept
    assert kept_address(ip_address(address), "drop") == ""


@pytest.mark.parametrize(
    ("keeping", "stored"),
    [
        ("truncate", {"ip": "203.0.113.0", "page": {"ip": "2001:db8:1::"}, "other": "203.0.113.7"}),
        ("drop", {"ip": "", "page": {"ip": ""}, "other": "203.0.113.7"}),
    ],
)
def test_members_named_ip_are_cut_wherever_they_are(keeping: Keeping, stored: dict[str, object]) -> None:
    text = b'{"ip" : "203.0.113.7", "page": {"ip":"2001:db8:1:2::3"}, "other": "203.0.113.7"}'

    assert json.loads(without_full_addresses(text, keeping)) == stored


@given(st.dictionaries(st.sampled_from(["ip", "a"]), st.text(max_size=20) | st.integers() | st.just("1:2:3:4:5:6:7:8")))
def test_any_context_stays_json(context: dict[str, object]) -> None:
    stored = json.loads(without_full_addresses(json.dumps(context).encode(), "truncate"))

    assert stored.keys() == context.keys()
    assert stored.get("a") == context.get("a")
