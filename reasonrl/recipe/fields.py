"""Types that every section of a recipe is built from.

The docstring under a field is its description: users read it in the reference of keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    JsonValue,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema, core_schema

from reasonrl.recipe.mistakes import Mistake, MistakesError
from reasonrl.recipe.plain_values import check_value
from reasonrl.words import did_you_mean


class Spec(BaseModel):
    """A section. Unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid",
        validate_default=True,
        protected_namespaces=(),
        use_attribute_docstrings=True,
        allow_inf_nan=False,  # bounds alone let infinity pass, and a run at infinite rate is no run
    )

    renamed: ClassVar[dict[str, str]] = {}
    """Keys of earlier versions and what they are called now, for the message."""
    may_be_blank: ClassVar[frozenset[str]] = frozenset()
    """Fields whose text may be empty."""

    @field_validator("*", mode="before")
    @classmethod
    def _is_a_plain_value(cls, value: Any, info: ValidationInfo) -> Any:
        field = str(info.field_name)
        check_value(field, cls.model_fields[field].annotation, value, may_be_blank=field in cls.may_be_blank)
        return value


class NamedSpec(BaseModel):
    """A section that names something to be built. All other keys are its options, which it checks itself."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    name: str
    """What to build. All other keys of this section are passed to it as options."""

    @field_validator("name")
    @classmethod
    def _name_is_not_blank(cls, name: str) -> str:
        check_value("name", str, name, may_be_blank=False)
        return name

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def greedy_or_sampled(temperature: float) -> float:
    """The temperature. Raises MistakesError for one that is too small to sample at and not 0."""
    if 0 < temperature < LEAST_TEMPERATURE:
        raise MistakesError(
            [
                Mistake(
                    (), f"{temperature} is too small to sample at; write 0 for greedy, or {LEAST_TEMPERATURE} or more"
                )
            ]
        )
    return temperature


REQUIRED_BY_A_RULE: dict[str, JsonValue] = {"required": True}
"""Marks a field that has a default, but that a rule asks for in a complete recipe (`reasonrl.recipe.rules`)."""

Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
LEAST_TEMPERATURE, LARGEST_TEMPERATURE = 1e-6, 100
"""Logits divided by much less are infinite in 32-bit floats; divided by more, they are all but equal."""
Temperature = Annotated[float, Field(ge=LEAST_TEMPERATURE, le=LARGEST_TEMPERATURE)]
GreedyOrSampled = Annotated[float, Field(ge=0, le=LARGEST_TEMPERATURE), AfterValidator(greedy_or_sampled)]
"""A temperature, or 0 for greedy texts."""
Seconds = Annotated[float, Field(ge=1e-3, le=1_000_000_000)]
"""A deadline. Clocks and sockets of the standard library take no larger numbers."""
Count = Annotated[int, Field(ge=1)]
Rows = Annotated[int, Field(ge=1, le=1_000_000)]
"""Prompts or rows of one step."""
MOST_DRAWN = 65_536
Drawn = Annotated[int, Field(ge=1, le=MOST_DRAWN)]
"""Texts that are drawn of one problem, all of which are in memory at once."""
CountOrZero = Annotated[int, Field(ge=0)]


def named(value: Any) -> Any:
    """A section written as one word, `curriculum: pcl`, is its name."""
    return {"name": value} if isinstance(value, str) else value


class OneOf:
    """Annotates a text that must be one of `names`, or with `or_dotted` a `package.module:name`."""

    def __init__(self, names: Iterable[str], *, or_dotted: bool = False) -> None:
        self.names, self.or_dotted = tuple(names), or_dotted

    def check(self, value: str) -> str:
        if value in self.names or (self.or_dotted and ":" in value):
            return value
        hint = did_you_mean(value, self.names)
        choices = ", ".join(self.names) + (" or package.module:name" if self.or_dotted else "")
        raise MistakesError(
            [Mistake((), f"'{value}' is not known; {hint + ' ' if hint else ''}choose one of {choices}")]
        )

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))
