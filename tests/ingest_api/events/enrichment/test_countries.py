from ipaddress import ip_address
from pathlib import Path

import pytest

from ingest_api.events.enrichment.countries import Countries, GeoipFileUnusable
from tests.ingest_api.events.enrichment.geoip_given import write_geoip_file


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("203.0.113.7", "DE"),
        ("2001:db8:1::5", "FR"),
        ("198.51.100.1", "NO"),
        ("192.0.2.1", ""),
        ("8.8.8.8", ""),
    ],
)
def test_country_is_looked_up_in_the_file(tmp_path: Path, address: str, country: str) -> None:
    file = write_geoip_file(
        tmp_path / "countries.mmdb",
        {
            "203.0.113.0/24": {"country": {"iso_code": "DE"}, "registered_country": {"iso_code": "US"}},
            "2001:db8:1::/48": {"country": {"iso_code": "FR"}},
            "198.51.100.0/25": {"registered_country": {"iso_code": "NO"}},
            "192.0.2.0/24": {"city": {"name": "Nowhere"}},
        },
    )

    assert Countries(file).country(ip_address(address)) == country


def test_country_is_unknown_without_a_file() -> None:
    assert Countries(None).country(ip_address("203.0.113.7")) == ""


@pytest.mark.parametrize("content", [None, b"", b"not a database" * 100])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "countries.mmdb"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(GeoipFileUnusable, match=r"countries\.mmdb"):
        Countries(path)
