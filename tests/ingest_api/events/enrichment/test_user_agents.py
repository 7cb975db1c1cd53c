import pytest

from ingest_api.events.enrichment.user_agents import Device, UserAgents

_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"
_ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"


@pytest.fixture(scope="module")
def user_agents() -> UserAgents:
    return UserAgents()


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        ("", Device()),
        (f"{_MAC} Safari/537.36", Device("desktop", "Mac OS X", "10.15", "Chrome", "126")),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
            Device("desktop", "Windows", "10", "Firefox", "127"),
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.4 Mobile/15E148 Safari/604.1",
            Device("mobile", "iOS", "17.4", "Mobile Safari", "17"),
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 "
            "Mobile/15E148 Safari/604.1",
            Device("tablet", "iOS", "16.6", "Mobile Safari", "16"),
        ),
        (f"{_ANDROID} Mobile Safari/537.36", Device("mobile", "Android", "14", "Chrome Mobile", "126")),
        (f"{_ANDROID} Safari/537.36", Device("tablet", "Android", "14", "Chrome", "126")),
        (
            "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/2.2 "
            "Chrome/63.0 TV Safari/537.36",
            Device("tv", "Tizen", "6.0", "Samsung Internet", "2"),
        ),
        (
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            Device("bot", "", "", "Googlebot", "2", True),
        ),
        ("python-requests/2.31.0", Device("other", "", "", "Python Requests", "2")),
    ],
)
def test_device_is_what_the_user_agent_says(user_agents: UserAgents, user_agent: str, device: Device) -> None:
    assert user_agents.device(user_agent) == device


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
        f"{_MAC} Safari/537.36 Chrome-Lighthouse",
        "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/538.1",
        "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        "Mozilla/5.0 (compatible; Datadog/Synthetics)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "meta-externalagent/1.1",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        f"{_ANDROID} Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)",
    ],
)
def test_what_looks_at_pages_by_itself_is_a_bot(user_agents: UserAgents, user_agent: str) -> None:
    device = user_agents.device(user_agent)

    assert (device.is_bot, device.device_type) == (True, "bot")


@pytest.mark.parametrize(
    "user_agent",
    [
        "curl/8.5.0",
        "Go-http-client/2.0",
        "Java/17.0.2",
        "Python-urllib/3.11",
        "WinHTTP",
        "okhttp/4.12.0",
        "axios/1.6.0",
        "analytics-python/2.2.3",
        "MyApp/1 CFNetwork/1490.0.4 Darwin/23.2.0",
        "Mozilla/5.0 (Linux; Android 7.0; CUBOT X18) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0 Mobile",
    ],
)
def test_what_reports_for_users_is_no_bot(user_agents: UserAgents, user_agent: str) -> None:
    assert not user_agents.device(user_agent).is_bot


def test_names_that_a_user_agent_brings_along_are_short(user_agents: UserAgents) -> None:
    device = user_agents.device(f"{'x' * 400}/1 CFNetwork/1490.0.4 Darwin/23.2.0")

    assert max(map(len, device[:5])) <= 64
