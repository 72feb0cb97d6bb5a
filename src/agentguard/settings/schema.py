"""What can be set, and what it may be: validated by pydantic, imported when a preset is made."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["DEFAULTS", "SECTIONS", "Settings"]


def _number(value: object) -> object:
    if isinstance(value, bool):  # Python takes true for 1
        raise ValueError("input should be a number, not a boolean")  # noqa: TRY004  pydantic's way
    return value


Number = BeforeValidator(_number)
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), Number]
Count = Annotated[int, Field(ge=1), Number]
Share = Annotated[float, Field(ge=0, le=1), Number]
Words = Annotated[str, Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True


class _Log(_Section):
    sample: Share = 1.0
    slow: Positive = 10.0
    capture: bool = False


class _Trace(_Section):
    capture: bool = False


class _ValidateInput(_Section):
    max_chars: Count = 400_000
    max_tokens: Count | None = None


class _MaskPII(_Section):
    restore: bool = True
    on_error: Literal["closed", "open"] = "closed"


class _Cache(_Section):
    ttl: Positive | Words = "1h"
    when: Literal["repeatable", "all"] = "repeatable"
    store: Words | None = None


class _Budget(_Section):
    usd_per_day: Positive | None = None
    tokens_per_day: Count | None = None
    store: Words | None = None
    scope: Literal["process"] | None = None


class _Fallback(_Section):
    model: Words | None = None


class _Retry(_Section):
    attempts: Count = 3
    within: Positive = 300.0
    max_retry_after: Positive = 120.0


class _Breaker(_Section):
    fail_max: Count = 5
    reset_timeout: Positive = 60.0


class _Timeout(_Section):
    seconds: Positive = 60.0
    thread: bool = False


class _Deadline(_Section):
    seconds: Positive = 120.0


class _PromptCache(_Section):
    enabled: bool = False


class Settings(BaseModel):
    """All that can be set, with its defaults: a section for each policy of a preset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Words | None = None
    model: Words | None = None
    deadline: _Deadline = _Deadline()
    metrics: _Section = _Section()
    log: _Log = _Log()
    trace: _Trace = _Trace()
    validate_input: _ValidateInput = _ValidateInput()
    mask_pii: _MaskPII = _MaskPII()
    cache: _Cache = _Cache()
    budget: _Budget = _Budget()
    fallback: _Fallback = _Fallback()
    retry: _Retry = _Retry()
    breaker: _Breaker = _Breaker()
    timeout: _Timeout = _Timeout()
    prompt_cache: _PromptCache = _PromptCache()


SECTIONS: dict[str, tuple[str, ...]] = {
    name: tuple(kind.model_fields)
    for name, field in Settings.model_fields.items()
    if isinstance(kind := field.annotation, type) and issubclass(kind, BaseModel)
}
"""The keys of each section."""

DEFAULTS: dict[str, Any] = {
    f"{section}.{key}": value
    for section, values in Settings().model_dump(include=set(SECTIONS)).items()
    for key, value in values.items()
}
"""What holds where nobody says otherwise, by key as in "retry.attempts"."""
