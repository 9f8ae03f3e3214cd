"""Types that every section of a recipe is built from."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Spec(BaseModel):
    """Unknown keys are errors, in every section."""

    model_config = ConfigDict(extra="forbid", validate_default=True, protected_namespaces=())


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def named(value: Any) -> Any:
    """A section written as one word, `curriculum: pcl`, is its name."""
    return {"name": value} if isinstance(value, str) else value
