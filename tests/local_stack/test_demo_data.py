from datetime import date, timedelta

from local_stack.demo_data import DemoPlan, batches, is_late, is_sent_twice, shop_day

DAY = date(2026, 3, 11)
EVENTS_PER_DAY = 2000


def test_shop_day_is_the_same_at_every_call() -> None:
    first = shop_day(DAY, EVENTS_PER_DAY)

    second = shop_day(DAY, EVENTS_PER_DAY)

    assert first == second


def test_shop_day_gives_each_event_an_id_of_its_own_also_across_days() -> None:
    days = [shop_day(DAY + timedelta(days=number), EVENTS_PER_DAY) for number in range(4)]

    ids = [event.event_id for day in days for event in day]

    assert len(set(ids)) == len(ids)


def test_shop_days_hold_about_as_many_events_as_wished() -> None:
    weeks = [shop_day(DAY + timedelta(days=number), EVENTS_PER_DAY) for number in range(14)]

    average = sum(map(len, weeks)) / 14

    assert 0.93 < average / EVENTS_PER_DAY < 1.07
    assert len({len(day) for day in weeks}) > 7


def test_shop_day_converts_like_a_shop() -> None:
    days = [shop_day(DAY + timedelta(days=number), EVENTS_PER_DAY) for number in range(7)]
    names = [event.event_name for day in days for event in day]
    landings = sum("utmSource" in event.properties and event.event_name == "page_view" for day in days for event in day)

    purchases = names.count("purchase")

    assert 0.02 < purchases / landings < 0.05
    assert names.count("add_to_cart") > names.count("checkout_started") > purchases > names.count("refund") > 0


def test_shop_visitor_is_known_from_the_sign_up_on() -> None:
    events = shop_day(DAY, EVENTS_PER_DAY)
    sign_up = next(event for event in events if event.event_name == "signup")

    later = [
        event for event in events if event.anonymous_id == sign_up.anonymous_id and event.timestamp >= sign_up.timestamp
    ]

    assert {event.user_id for event in later} == {sign_up.user_id}
    assert sign_up.user_id


def test_shop_visitors_come_back_on_other_days() -> None:
    today = {event.anonymous_id for event in shop_day(DAY, EVENTS_PER_DAY)}

    yesterday = {event.anonymous_id for event in shop_day(DAY - timedelta(days=1), EVENTS_PER_DAY)}

    assert len(today & yesterday) > 5


def test_some_events_are_late_and_some_are_sent_twice() -> None:
    events = shop_day(DAY, EVENTS_PER_DAY)

    late, twice = sum(map(is_late, events)), sum(map(is_sent_twice, events))

    assert 0.005 < late / len(events) < 0.04
    assert 0.001 < twice / len(events) < 0.015


def test_plan_ends_today() -> None:
    plan = DemoPlan(day_count=30, event_count=200_000)

    first = plan.first_day(date(2026, 3, 30))

    assert first == date(2026, 3, 1)
    assert plan.events_per_day == 6666


def test_batches_hold_every_event_once() -> None:
    events = shop_day(DAY, 300)

    cut = list(batches(events, 100))

    assert [event for batch in cut for event in batch] == events
    assert {len(batch) for batch in cut[:-1]} == {100}
