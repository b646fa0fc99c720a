"""Values that are made for every entry, page or result, and frozen by the type checker.

To freeze a dataclass at run time costs a call for each field whenever one is made, two thirds of
what making it takes, and a file of a few signatures has hundreds of fields. A `value_class` is the
same otherwise, with slots, equality and hash; that nobody sets a field of it is checked before it
runs. What is kept from one file to the next stays frozen at run time, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

Value = TypeVar("Value")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_class(shape: type[Value]) -> type[Value]:
    """Make a dataclass whose fields are set once, when it is made."""
    return dataclass(slots=True, unsafe_hash=True)(shape)
