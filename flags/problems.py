"""What is wrong with a definition: every problem at once, each with the field it is about."""

from collections.abc import Iterable
from dataclasses import dataclass

DEFINITION_CODES = {
    "json_invalid": "The definition is not JSON in UTF-8, or nested too deeply to be read.",
    "field_missing": "A required field is absent or null.",
    "field_unknown": "A definition has no field of this name.",
    "wrong_type": "The field has another JSON type than documented.",
    "wrong_value_type": "A value does not have the type of its flag.",
    "too_long": "The text has more characters than documented.",
    "too_many": "The list has more members than documented.",
    "too_deep": "The value or condition has more levels than documented.",
    "too_large": "The definition has more bytes than documented.",
    "out_of_range": "The number is outside of the documented range.",
    "not_exact": "The number is not finite, or a whole number beyond 2^53, which JavaScript cannot keep.",
    "text_broken": "The text has half a character: a surrogate without its pair.",
    "not_allowed": "The field has a value that is not among those documented.",
    "timestamp_invalid": "The time is not ISO 8601 with an offset.",
    "operator_unknown": "A condition has an operator that does not exist.",
    "regex_invalid": "The regular expression is not one that every SDK reads alike in linear time.",
    "duplicate": "Two members of a list have the same key.",
    "conflict": "Two fields contradict each other.",
    "segment_unknown": "A rule refers to a segment that does not exist.",
    "flag_unknown": "A prerequisite or an experiment refers to a flag that does not exist.",
    "prerequisite_cycle": "Flags are prerequisites of each other, or too many of one another in a row.",
    "control_count": "An experiment has no control, or more than one.",
    "allocation_invalid": "The allocations of an experiment cannot be made shares of 1.",
    "variant_unknown": "An experiment has no variant of this id.",
    "metric_unknown": "A ratio divides by a metric that the experiment does not have.",
}
"""Every reason for which a definition is refused."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `field` is a path such as `rules[0].conditions[1].value`, empty for the whole."""

    field: str
    code: str
    message: str


class DefinitionInvalid(ValueError):
    """A definition that is refused, with everything that is wrong with it (up to `fields.MAX_PROBLEMS`)."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{one.field or 'definition'}: {one.message}" for one in self.problems))
