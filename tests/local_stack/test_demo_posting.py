from collections import Counter
from datetime import date, timedelta

from local_stack.demo_data import is_late, shop_day
from local_stack.demo_posting import BATCH_SIZE, in_sending_order

DAYS = [date(2026, 3, 11) + timedelta(days=number) for number in range(3)]


def test_every_event_is_sent_and_some_twice() -> None:
    history = [(day, shop_day(day, 3000)) for day in DAYS]

    sent = Counter(event.event_id for request in in_sending_order(history) for event in request)

    assert set(sent) == {event.event_id for _, events in history for event in events}
    assert set(sent.values()) == {1, 2}


def test_requests_are_full_but_for_the_last_of_a_day() -> None:
    history = [(day, shop_day(day, 3000)) for day in DAYS]

    sizes = [len(request) for request in in_sending_order(history)]

    assert max(sizes) == BATCH_SIZE
    assert min(sizes) > 0


def test_late_events_are_sent_after_those_of_the_next_day() -> None:
    first_day, next_day = shop_day(DAYS[0], 1000), shop_day(DAYS[1], 1000)
    late = next(event.event_id for event in first_day if is_late(event))
    on_time = next(event.event_id for event in next_day if not is_late(event))

    requests = in_sending_order([(DAYS[0], first_day), (DAYS[1], next_day)])
    sent = [event.event_id for request in requests for event in request]

    assert sent.index(late) > sent.index(on_time)
