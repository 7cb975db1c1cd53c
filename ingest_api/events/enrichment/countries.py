"""In which country an address is, by a file in MaxMind's format that the user supplies (GeoLite2 Country or City)."""

from pathlib import Path
from typing import Any

import maxminddb

from ingest_api.events.enrichment.addresses import Address


class GeoipFileUnusable(ValueError):
    """The file of `ANALYTICS_GEOIP_FILE` cannot be read."""


class Countries:
    """Looks up countries; without a file every one is unknown. The file is read at start-up: a new one needs a restart.

    Raises:
        GeoipFileUnusable: the file is missing or in another format.
    """

    def __init__(self, path: Path | None) -> None:
        self._reader = None if path is None else _opened(path)

    def country(self, address: Address) -> str:
        """ISO 3166 code in capital letters, or empty text."""
        if self._reader is None:
            return ""
        try:
            found: Any = self._reader.get(address)
        except ValueError:  # an IPv6 address and a file without such
            return ""
        # Where a network is registered, for those (ships, satellites) that are nowhere.
        for place in ("country", "registered_country"):
            if isinstance(found, dict) and isinstance(code := (found.get(place) or {}).get("iso_code"), str):
                return code
        return ""


def _opened(path: Path) -> maxminddb.Reader:
    try:
        return maxminddb.open_database(path)
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        raise GeoipFileUnusable(f"{path} is not a readable file in MaxMind's format: {error}") from error
