"""What judges and completes the events of one API process, loaded once when it starts."""

from dataclasses import dataclass

from ingest_api.config import ApiSettings
from ingest_api.events.enrichment.countries import Countries
from ingest_api.events.enrichment.senders import Senders
from ingest_api.events.enrichment.user_agents import UserAgents
from ingest_api.tracking_plan.plan import TrackingPlan


@dataclass(frozen=True, slots=True, eq=False)
class Intake:
    """The tracking plan, and what describes senders."""

    plan: TrackingPlan
    senders: Senders


def load_intake(settings: ApiSettings, plan: TrackingPlan) -> Intake:
    """Load what `settings` name; takes a fifth of a second.

    Raises:
        GeoipFileUnusable: the file of countries cannot be read.
    """
    countries = Countries(settings.analytics_geoip_file)
    return Intake(
        plan,
        Senders(UserAgents(), countries, settings.analytics_ip_addresses, settings.analytics_trusted_proxies),
    )
