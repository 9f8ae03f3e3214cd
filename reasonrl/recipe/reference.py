"""Every key of a recipe as data: its path, its type in plain words, its default and its description.

`docs/recipe.md` and `reasonrl recipes keys` are generated from it. The descriptions are the docstrings of the fields.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from reasonrl.recipe.fields import REQUIRED_BY_A_RULE, OneOf
from reasonrl.recipe.schema import Recipe

NAME = "NAME"
"""The placeholder in a path for a name that the user chooses: `data.heldout.NAME`."""
_PLAIN_WORD = re.compile(r"[A-Za-z_][\w./:-]*")
_BOUNDS = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))


@dataclass(frozen=True)
class Key:
    path: str
    """From the top of the recipe: `train.kl.coefficient`."""
    takes: str
    """What may be written, in plain words: `int >= 1`, `grpo | dr_grpo`, `section or null`."""
    default: str
    """As it is written in YAML; of a section that has a name, the name. Empty where the key is required, and of other
    sections, whose keys have their defaults.
    """
    required: bool
    description: str
    section: type[BaseModel] | None
    """What the section holds; None for a single value."""

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class Section:
    path: str
    """Empty for the top of the recipe."""
    spec: type[BaseModel]
    keys: tuple[Key, ...]

    @property
    def description(self) -> str:
        return " ".join((self.spec.__doc__ or "").split())


def sections() -> list[Section]:
    """All sections in the order of a recipe, each before the sections inside it."""
    return list(_walk("", Recipe, None))


def _walk(path: str, spec: type[BaseModel], value: BaseModel | None) -> Iterator[Section]:
    """`value`: the section with its defaults, where the parent sets other defaults."""
    keys: list[Key] = []
    inner: list[tuple[str, type[BaseModel], BaseModel | None]] = []
    for name, field in spec.model_fields.items():
        key_path = f"{path}.{name}" if path else name
        default = field.get_default(call_default_factory=True) if value is None else getattr(value, name)
        key = _key(key_path, field, default)
        keys.append(key)
        if key.section is not None:
            part = f"{key_path}.{NAME}" if _is_mapping(field.annotation) else key_path
            inner.append((part, key.section, default if isinstance(default, BaseModel) else None))
    yield Section(path, spec, tuple(keys))
    for part, inner_spec, default in inner:
        yield from _walk(part, inner_spec, default)


def _key(path: str, field: FieldInfo, default: Any) -> Key:
    section = next(_specs(field.annotation), None)
    takes = type_in_words(field.annotation, tuple(field.metadata))
    required = default is PydanticUndefined or field.json_schema_extra == REQUIRED_BY_A_RULE
    if required:
        text = ""
    elif isinstance(default, BaseModel):
        text = str(getattr(default, "name", ""))
    else:
        text = as_yaml(default)
    return Key(
        path=path,
        takes=takes.removesuffix(" or null") if required else takes,
        default=text,
        required=required,
        description=" ".join((field.description or "").split()),
        section=section,
    )


def _specs(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections in a type, in order."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _specs(argument)


def _is_mapping(annotation: Any) -> bool:
    return get_origin(annotation) is dict


def type_in_words(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """What may be written: `int >= 1`, `uniform | knapsack`, `list of text`, `section or null`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_in_words(arguments[0], (*arguments[1:], *metadata))
    if names := [note for note in metadata if isinstance(note, OneOf)]:
        return " | ".join([*names[0].names, *(["package.module:name"] if names[0].or_dotted else [])])
    if origin is Literal:
        return " | ".join(as_yaml(choice) for choice in arguments)
    short = _short_form(metadata)
    if origin in (Union, types.UnionType):
        words = [type_in_words(argument) for argument in arguments if argument is not type(None)]
        nullable = ["null"] if type(None) in arguments else []
        return _alternatives([*dict.fromkeys(words), *short, *nullable])
    if origin is dict:
        return f"mapping of names to {type_in_words(arguments[1])}"
    if origin is list or (origin is tuple and arguments[-1] is Ellipsis):
        return f"list of {type_in_words(arguments[0])}"
    if origin is tuple:
        return f"[{', '.join(type_in_words(argument) for argument in arguments)}]"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _alternatives(["section", *short])
    return _plain_type(annotation, metadata)


def _alternatives(words: list[str]) -> str:
    return " or ".join(words)


def _plain_type(annotation: Any, metadata: tuple[Any, ...]) -> str:
    words = {bool: "true | false", int: "int", float: "number", str: "text"}.get(annotation, "any value")
    notes = [inner for note in metadata for inner in getattr(note, "metadata", [note])]
    bounds = {sign: getattr(note, name) for note in notes for name, sign in _BOUNDS if hasattr(note, name)}
    if set(bounds) == {">=", "<="}:
        return f"{words} from {as_yaml(bounds['>='])} to {as_yaml(bounds['<='])}"
    return " and ".join([f"{words} {sign} {as_yaml(bound)}" for sign, bound in bounds.items()]) or words


def _short_form(metadata: tuple[Any, ...]) -> list[str]:
    """A section that may be written as one value: `its name`, `its model`, `its weight`."""
    for note in metadata:
        if isinstance(note, BeforeValidator):
            for example in ("word", 1):
                section = note.func(example)  # type: ignore[call-arg]
                if isinstance(section, dict):
                    return [f"its {key}" for key, value in section.items() if value == example]
    return []


def as_yaml(value: Any) -> str:
    """A default as one writes it in a recipe."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, BaseModel):
        return as_yaml({name: getattr(value, name) for name in value.model_fields_set})
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {as_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_yaml(inner) for inner in value) + "]"
    if isinstance(value, float) and "e" in repr(value):
        digits, exponent = repr(value).split("e")
        return f"{digits if '.' in digits else digits + '.0'}e{int(exponent)}"  # YAML reads 1e-6 as a text
    if isinstance(value, str) and not _PLAIN_WORD.fullmatch(value):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
