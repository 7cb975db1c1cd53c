from local_stack.leash import groups_left


def test_groups_left_are_those_held_and_not_released() -> None:
    lines = ["+10\n", "+11\n", "-10\n", "+12\n", "-99\n"]

    left = groups_left(lines)

    assert left == {11, 12}
