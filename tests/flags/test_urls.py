"""Which pages an experiment is meant for."""

from typing import Any

import pytest

from flags.evaluate import Features
from flags.experiments import Overrides, User
from flags.urls import is_old_target, is_url_targeted, redirected

PAGE = "https://www.example.com/shop/shoes?color=red&size=9#top"


@pytest.mark.parametrize(
    ("kind", "pattern", "expected"),
    [
        ("simple", "/shop/shoes", True),
        ("simple", "/shop/shoes/", True),
        ("simple", "/shop/*", True),
        ("simple", "/shop", False),
        ("simple", "www.example.com/shop/*", True),
        ("simple", "*.example.com/shop/*", True),
        ("simple", "https://other.com/shop/*", False),
        ("simple", "/shop/shoes?color=red", True),
        ("simple", "/shop/shoes?color=blue", False),
        ("simple", "/shop/shoes?size=*", True),
        ("simple", "/shop/shoes#top", True),
        ("simple", "/shop/shoes#end", False),
        ("simple", "/SHOP/shoes", True),
        ("simple", "/shop/sh.es", False),
        ("regex", "^https://www\\.example\\.com/shop", True),
        ("regex", "^/shop/(shoes|hats)", True),
        ("regex", "hats", False),
        ("regex", "(", False),
        ("invented", ".*", False),
    ],
)
def test_page_is_targeted_where_the_pattern_fits(kind: str, pattern: str, expected: bool) -> None:
    assert is_url_targeted(PAGE, [{"type": kind, "pattern": pattern, "include": True}]) is expected


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([], False),
        ([{"type": "simple", "pattern": "/a"}, {"type": "simple", "pattern": "/shop/*"}], True),
        ([{"type": "simple", "pattern": "/shop/*"}, {"type": "regex", "pattern": "red", "include": False}], False),
        ([{"type": "regex", "pattern": "blue", "include": False}], True),
        ([{"type": "simple"}], False),
    ],
)
def test_pattern_that_excludes_wins(targets: list[dict[str, Any]], expected: bool) -> None:
    assert is_url_targeted(PAGE, targets) is expected


def test_experiment_runs_on_its_pages_only() -> None:
    experiment = {"key": "e", "variations": [0, 1], "urlPatterns": [{"type": "simple", "pattern": "/shop/*"}]}

    answers = [
        Features({}).run(experiment, User({"id": "1"}, overrides=Overrides(url=url))).in_experiment
        for url in (PAGE, "/home", "")
    ]

    assert answers == [True, False, False]


@pytest.mark.parametrize(
    ("url", "pattern", "expected"),
    [("", "x", False), (PAGE, "^https", True), (PAGE, "^/shop", True), (PAGE, "^shop", False), (PAGE, "(", True)],
)
def test_old_pattern_is_found_in_the_url_or_its_path(url: str, pattern: str, expected: bool) -> None:
    assert is_old_target(url, pattern) is expected


def test_redirect_carries_the_parameters_that_it_does_not_have() -> None:
    assert redirected(PAGE, "https://new.example.com/?size=10") == "https://new.example.com/?size=10&color=red"
    assert redirected(PAGE, "https://new.example.com") == "https://new.example.com/?color=red&size=9"
