"""What a user agent says about a device, its operating system and its browser.

Whether it is a bot: a bot looks at pages by itself, as a browser would. Crawlers, previews of links, monitors and
browsers without a screen are bots. A library that makes HTTP requests is not: servers report with `python-requests` or
`Go-http-client` what their users did, and those events count.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import ua_parser
from ua_parser.core import Result
from ua_parser.loaders import load_lazy_builtins

MAX_USER_AGENT_CHARACTERS = 512
"""Longer user agents are cut; real ones have at most half of it."""

_MAX_NAME_CHARACTERS = 64
_REMEMBERED = 8192

# Bots that ua-parser's family `Spider` misses: browsers driven by programs, then monitors and readers of pages.
_MORE_BOTS = re.compile(
    r"headless|phantomjs|puppeteer|playwright|cypress/|selenium|webdriver|jsdom|slimerjs|electron/.*nightmare"
    r"|lighthouse|pagespeed|gtmetrix|ptst/|speedcurve"
    r"|synthetic|newrelicpinger|checkly|site24x7|uptime|statuscake|pingdom|catchpoint|dotcom-monitor"
    r"|prerender|meta-externalagent|crawler|spider(?!man)|yandexmetrika",
    re.IGNORECASE,
)
# Libraries that ua-parser counts as spiders.
_LIBRARIES = re.compile(r"(?:java|python-urllib|winhttp|google-http-java-client)\b", re.IGNORECASE)
_TELEVISION = re.compile(
    r"smart-?tv|google ?tv|android ?tv|apple ?tv|web0s|webos|netcast|hbbtv|crkey|roku|bravia|viera|\baft\w|\btv\b",
    re.IGNORECASE,
)
_TABLET = re.compile(r"ipad|tablet|kindle|silk/|playbook|nexus (?:7|9|10)\b|sm-[tx]\d", re.IGNORECASE)
_MOBILE = re.compile(r"mobile|iphone|ipod|phone|opera mini|kaios|blackberry|cfnetwork", re.IGNORECASE)
_DESKTOP = re.compile(r"windows nt|macintosh|x11|cros|linux x86_64|linux i686", re.IGNORECASE)


class Device(NamedTuple):
    """What one user agent says; empty text where it says nothing."""

    device_type: str = ""
    """`desktop`, `mobile`, `tablet`, `tv`, `bot` or `other`."""
    os_name: str = ""
    os_version: str = ""
    """Major and minor part, for example `17.4`."""
    browser_name: str = ""
    """For a program that is no browser, its name."""
    browser_version: str = ""
    """Major part."""
    is_bot: bool = False


UNKNOWN_DEVICE = Device()


class UserAgents:
    """Reads user agents. Making one takes a tenth of a second and 25 MB; reading one that is not remembered 0.1 ms."""

    def __init__(self) -> None:
        # Without the parser's own cache: `device` remembers the result of all of this module.
        self._parser = ua_parser.Parser(ua_parser.BestAvailableResolver(load_lazy_builtins()))
        self.device = lru_cache(maxsize=_REMEMBERED)(self._device)
        # The parser puts off part of its work until it is asked.
        self._device("Mozilla/5.0")

    def _device(self, user_agent: str) -> Device:
        """Describe the sender with this user agent of at most `MAX_USER_AGENT_CHARACTERS`."""
        if not user_agent:
            return UNKNOWN_DEVICE
        found = self._parser.parse(user_agent)
        is_bot = _is_bot(user_agent, found)
        system, browser = found.os, found.user_agent
        return Device(
            "bot" if is_bot else _device_type(user_agent),
            _short(system.family) if system else "",
            _short(".".join(part for part in (system.major, system.minor) if part)) if system else "",
            _short(browser.family) if browser else "",
            _short(browser.major or "") if browser else "",
            is_bot,
        )


def _is_bot(user_agent: str, found: Result) -> bool:
    is_spider = found.device is not None and found.device.family == "Spider"
    return (is_spider and not _LIBRARIES.match(user_agent)) or _MORE_BOTS.search(user_agent) is not None


def _device_type(user_agent: str) -> str:
    if _TELEVISION.search(user_agent):
        return "tv"
    # Android's rule: a browser that does not say Mobile runs on a tablet.
    if _TABLET.search(user_agent) or ("Android" in user_agent and "Mozilla" in user_agent and "Mobi" not in user_agent):
        return "tablet"
    if _MOBILE.search(user_agent) or "Android" in user_agent:
        return "mobile"
    return "desktop" if _DESKTOP.search(user_agent) else "other"


def _short(name: str) -> str:
    """A name that ua-parser cut out of the user agent, so it may be anything."""
    return name[:_MAX_NAME_CHARACTERS]
