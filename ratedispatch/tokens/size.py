"""
Estimates the size of a request without reading all of it.

Tells whether to count a request at once or in a thread. Looks at no more of a value than that
takes, so that a body of any size keeps no event loop waiting.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType

# measured: to look at an entry and count it takes as long as the tokenizer for so many characters
_ENTRY = 8
# an integer has at most one decimal digit for each 3 bits
_DIGIT_BITS = 3
_NO_MAPPINGS = frozenset({list, str, int, float, bool, NoneType})


def is_longer(value: object, characters: int) -> bool:
    """
    Whether the JSON text of *value* is likely to have more than *characters*.

    Looks at no more of it than that takes, at the length of a container before its entries, and
    so ends for any value, one that contains itself included. Strings and keys cost their length,
    integers their digits, each entry of an object or list 8 characters besides.
    """
    waiting = [value]
    while waiting:
        one = waiting.pop()
        # what most values are comes first: to ask for a Mapping is slow
        if type(one) is dict or (type(one) not in _NO_MAPPINGS and isinstance(one, Mapping)):
            characters -= _ENTRY * len(one)
            if characters < 0:
                return True
            for key, inner in one.items():
                if type(key) is str:
                    characters -= len(key)
                if type(inner) is str:
                    characters -= len(inner)
                else:
                    waiting.append(inner)
        elif isinstance(one, list | tuple):
            characters -= _ENTRY * len(one)
            if characters < 0:
                return True
            waiting += one
        elif isinstance(one, str):
            characters -= len(one)
        elif isinstance(one, int):
            characters -= one.bit_length() // _DIGIT_BITS
        if characters < 0:
            return True
    return False
