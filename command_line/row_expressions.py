"""Jinja2 expressions over the columns of a row, compiled once and evaluated for each row."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined, meta
from jinja2.sandbox import SandboxedEnvironment

from command_line.row_sources import Row

_EXPRESSION = re.compile(r"\{\{((?:(?!\}\}).)*)\}\}", re.DOTALL)
# Not a name that a column is likely to have: what a template sets hides a column of the same name.
_RESULT = "expression_result__"


class WrongExpression(Exception):
    """The text does not compile, or names a column that the file does not have."""


class FailedExpression(Exception):
    """An expression has no value for one row."""


def as_decimal(value: object) -> Decimal:
    """The exact number that a text or a number stands for, or `decimal.InvalidOperation`."""
    return value if isinstance(value, Decimal) else Decimal(str(value).strip())


_jinja = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
_jinja.filters["decimal"] = as_decimal


def is_expression(text: str) -> bool:
    """Whether a text has a part that is to be computed."""
    return "{{" in text


def compile_expression(text: str, columns: tuple[str, ...] | None) -> Callable[[Row], Any]:
    """A function that computes `text` for a row, and raises `FailedExpression` when that is not possible.

    A lone `{{ expression }}` keeps the type of its value; between other text it becomes text. `row` is the whole row.

    Args:
        text: with `{{ }}` around each expression.
        columns: what the file has; None when rows name their own, then a missing column is None.

    Raises:
        WrongExpression: see there.
    """
    whole = _EXPRESSION.fullmatch(text.strip())
    try:
        names = tuple(sorted(meta.find_undeclared_variables(_jinja.parse(text)) - {"row"}))
        if columns is not None and (unknown := set(names).difference(columns)):
            raise WrongExpression(f"the file has no column {', '.join(sorted(unknown))}")
        template = _jinja.from_string(f"{{% set {_RESULT} = {whole[1]} %}}" if whole else text)
    except TemplateError as error:
        raise WrongExpression(str(error)) from error
    # One context for all rows: making one costs more than most expressions.
    scope: dict[str, Any] = dict(template.globals)
    context = template.new_context(scope, shared=True)
    render = template.root_render_func

    def evaluate(row: Row) -> Any:
        for name in names:
            scope[name] = row.get(name)
        scope["row"] = row
        try:
            parts = "".join(render(context))
            value = context.vars.pop(_RESULT) if whole else parts
        except (TemplateError, ArithmeticError, TypeError, ValueError, AttributeError, LookupError) as error:
            raise FailedExpression(f"{type(error).__name__} {error}".rstrip()) from error
        if isinstance(value, Undefined):
            raise FailedExpression("the value that it names is not there")
        return value

    return evaluate
