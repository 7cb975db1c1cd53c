"""How deep and how long JSON is, told from its brackets and commas without making an object of anything in it."""

import re
from itertools import accumulate

_STRINGS = re.compile(rb'"(?>[^"\\]|\\.)*+"', re.DOTALL)
# Pieces of text that no string crosses: what is taken out of one is forgotten before the next.
_PIECES = re.compile(rb'(?>[^"]++|"(?>[^"\\]|\\.)*+"){1,10000}+', re.DOTALL)
_BRACKETS = b"[]{}"
# In one go: of `{[]}` one replacement after the other would take two levels.
_INNERMOST = re.compile(rb"\[\]|\{\}")
_COMMA = ord(",")
_STEPS = [{ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}.get(byte, 0) for byte in range(256)]
# Most brackets enclose no others. Taking such pairs out some times leaves little to walk through.
_ROUNDS = 4


def is_deeper_than(levels: int, text: bytes) -> bool:
    """Whether well-formed JSON has more than so many objects and arrays within each other."""
    # Both brackets of each level take a byte.
    if len(text) <= 2 * levels or text.count(b"{") + text.count(b"[") <= levels:
        return False
    brackets = _only(_BRACKETS, text)
    for _ in range(min(_ROUNDS, levels)):
        brackets = _INNERMOST.sub(b"", brackets)
        levels -= 1
        if len(brackets) <= 2 * levels:
            return False
    return max(accumulate(map(_STEPS.__getitem__, brackets))) > levels


def has_more_items_than(count: int, array: bytes) -> bool:
    """Whether a JSON array has more than so many items. Of text that is no such array anything may be said."""
    depth = commas = 0
    for byte in _only(_BRACKETS + b",", array)[1:-1]:
        if byte != _COMMA:
            depth += _STEPS[byte]
        elif not depth:
            commas += 1
            if commas >= count:
                return True
    return False


def _only(kept: bytes, text: bytes) -> bytes:
    """These bytes of JSON where they are not inside of a string."""
    others = bytes(set(range(256)).difference(kept))
    return b"".join(_STRINGS.sub(b"", piece[0]).translate(None, others) for piece in _PIECES.finditer(text))
