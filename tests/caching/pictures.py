"""What a value is made of, down to the types, so that two can be compared without an `==` of theirs."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from enum import Enum
from typing import Any

PLAIN = (str, int, float, bool, bytes, type(None), Decimal)


def picture(value: Any, *, private: bool = False) -> Any:
    """Types, fields, which of them were set, and unknown ones; `private` attributes where asked."""
    kind = type(value)
    if isinstance(value, Enum):
        return kind, str(value.value)
    if kind in PLAIN:
        return kind, repr(value)
    if kind in {list, tuple}:
        return kind, [picture(each, private=private) for each in value]
    if kind is dict:
        pairs = value.items()
        return kind, [(picture(k), picture(v, private=private)) for k, v in pairs]
    if hasattr(kind, "__pydantic_fields_set__"):
        hidden = value.__pydantic_private__ if private else None
        return (
            kind,
            # an older anthropic leaves what it had of a tool's arguments under "__json_buf"
            [(n, picture(v, private=private)) for n, v in vars(value).items() if n[:2] != "__"],
            sorted(value.__pydantic_fields_set__),
            picture(value.__pydantic_extra__, private=private),
            picture(hidden),
        )
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        return kind, [(name, picture(getattr(value, name), private=private)) for name in names]
    return kind, value
