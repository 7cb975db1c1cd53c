"""What the API says about wrong settings."""

import pytest
from pydantic import ValidationError

from ingest_api.config import ApiSettings, StreamSettings, settings_sentence

GOOD_SECRET = "s" * 32


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in ApiSettings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)


def test_settings_have_the_documented_defaults() -> None:
    settings = ApiSettings(jwt_secret=GOOD_SECRET)

    assert (settings.host, settings.port) == ("127.0.0.1", 3007)
    assert settings.redis_url == "redis://localhost:6379"
    assert settings.analytics_batch_size == 1000
    assert settings.flush_interval_seconds == 30
    assert settings.feature_flags_cache_ttl == 300
    assert settings.analytics_stream_max_bytes == 1_073_741_824
    assert settings.analytics_tracking_plan.parts[-2:] == ("dbt", "tracking_plan")
    assert (settings.analytics_ip_addresses, settings.analytics_trusted_proxies) == ("truncate", 0)
    assert settings.log_level == "info"


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "4000")
    monkeypatch.setenv("JWT_SECRET", GOOD_SECRET)
    monkeypatch.setenv("LOG_LEVEL", "WARNING")

    settings = ApiSettings()

    assert (settings.port, settings.log_level) == (4000, "warning")
    assert settings.jwt_secret.get_secret_value() == GOOD_SECRET


def test_a_file_of_countries_that_is_empty_text_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", GOOD_SECRET)
    monkeypatch.setenv("ANALYTICS_GEOIP_FILE", "")

    assert ApiSettings().analytics_geoip_file is None


@pytest.mark.parametrize("secret", [None, "", "too short", "s" * 31], ids=["missing", "empty", "short", "31 bytes"])
def test_secret_is_asked_for_in_one_sentence_when_it_is_not_good(
    monkeypatch: pytest.MonkeyPatch, secret: str | None
) -> None:
    if secret is not None:
        monkeypatch.setenv("JWT_SECRET", secret)

    with pytest.raises(ValidationError) as refused:
        ApiSettings()

    sentence = settings_sentence(refused.value)
    assert sentence.startswith("JWT_SECRET: set it to a secret of at least 32 bytes")
    assert "\n" not in sentence
    assert not secret or secret not in sentence


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    monkeypatch.setenv("ANALYTICS_BATCH_SIZE", "0")
    monkeypatch.setenv("REDIS_URL", "password@nowhere")

    with pytest.raises(ValidationError) as refused:
        ApiSettings(jwt_secret=GOOD_SECRET)

    sentence = settings_sentence(refused.value)
    assert all(name in sentence for name in ("PORT", "ANALYTICS_BATCH_SIZE", "REDIS_URL"))
    assert "password" not in sentence


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    settings = ApiSettings(jwt_secret=GOOD_SECRET, redis_url="redis://:hunter2@localhost:6379")

    assert GOOD_SECRET not in repr(settings)
    assert "hunter2" not in repr(settings)


def test_flusher_needs_no_secret() -> None:
    assert StreamSettings().analytics_flush_interval == 30_000
