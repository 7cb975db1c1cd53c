"""What the API and the flusher read from the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings

_SECRET_BYTES = 32
_PROJECT = Path(__file__).resolve().parents[1]


class StreamSettings(BaseSettings):
    """What every process that touches Valkey needs: the API, the flusher, `analytics key`."""

    host: str = "127.0.0.1"
    """Address to listen on. The default lets in this machine only."""
    redis_url: str = Field(default="redis://localhost:6379", pattern=r"^(rediss?|unix)://", repr=False)
    """May hold a password, so it is left out where settings are shown."""
    analytics_batch_size: int = Field(default=1000, ge=1, le=20_000)
    """Events that are waiting before the flusher writes at once."""
    analytics_flush_interval: int = Field(default=30_000, ge=10, le=3_600_000)
    """Milliseconds after which the flusher writes whatever waits."""
    analytics_stream_max_bytes: int = Field(default=1024**3, ge=1024**2)
    """Memory that Valkey may use before the API refuses further events (503, `stream_full`), in bytes."""
    analytics_flusher_metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Where the flusher serves its metrics; 0: nowhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, level: object) -> object:
        return level.lower() if isinstance(level, str) else level

    @property
    def flush_interval_seconds(self) -> float:
        """`ANALYTICS_FLUSH_INTERVAL` in seconds."""
        return self.analytics_flush_interval / 1000


class ApiSettings(StreamSettings):
    """What the API process reads; where the warehouse is, is `warehouse.config.WarehouseSettings`."""

    port: int = Field(default=3007, ge=1, le=65_535)
    jwt_secret: SecretStr = Field(default=SecretStr(""), validate_default=True)
    """Signs the tokens that people and services read with."""
    feature_flags_cache_ttl: int = Field(default=300, ge=1, le=86_400)
    """Seconds after which definitions that Valkey has not confirmed count as stale; they go on being evaluated."""
    feature_flags_exposure_share: float = Field(default=0, ge=0, le=1)
    """Share of users whose evaluations become exposure events."""
    analytics_tracking_plan: Path = _PROJECT / "dbt" / "tracking_plan"
    """Directory of the tracking plan."""
    analytics_ip_addresses: Literal["truncate", "drop"] = "truncate"
    """What is kept of the sender's address: all but its last part, or nothing."""
    analytics_geoip_file: Path | None = None
    """File in MaxMind's format (GeoLite2 Country or City) that countries are looked up in."""
    analytics_dagster_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Where Dagster's page is, to start the results of an experiment from the API; empty: nowhere."""
    analytics_trusted_proxies: int = Field(default=0, ge=0, le=16)
    """How many proxies in front append to `X-Forwarded-For`; 0: the address of the connection counts."""

    @field_validator("analytics_geoip_file", mode="before")
    @classmethod
    def _empty_is_none(cls, path: object) -> object:
        return path or None

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value().encode()) < _SECRET_BYTES:
            raise ValueError(
                f"set it to a secret of at least {_SECRET_BYTES} bytes, for example one made by `openssl rand -hex 32`"
            )
        return secret


def settings_sentence(error: ValidationError) -> str:
    """Name each wrong environment variable and what it should be, in one line, without repeating any value."""
    problems = (
        f"{'.'.join(str(part) for part in problem['loc']).upper()}: {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_input=False, include_url=False, include_context=False)
    )
    return "; ".join(problems)
