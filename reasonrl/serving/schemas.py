"""Requests, as clients write them. Unknown keys of OpenAI's routes are ignored, as its clients expect; unknown keys
of ours are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from verifiers.types import Message

TRACE = "Give back every hidden call, for `reasonrl replay`."
MOST_CHARS = 200_000
MOST_MESSAGES = 256
MOST_CHOICES = 16
Text = Annotated[str, Field(max_length=MOST_CHARS)]
Step = Annotated[str, Field(max_length=MOST_CHARS, json_schema_extra={"pattern": r"\S"})]


def _number(value: Any) -> Any:
    """Neither "3" nor true is a number; 3.0 is a whole one, as JSON has it."""
    if isinstance(value, str | bool):
        raise ValueError(f"write a number instead of {'a text' if isinstance(value, str) else 'true or false'}")
    return value


Flag = Annotated[bool, Field(strict=True)]
_Number = BeforeValidator(_number)
Tokens = Annotated[int, Field(ge=1, le=1_000_000), _Number]
Count = Annotated[int, Field(ge=1, le=64), _Number]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63), _Number]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False), _Number]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False), _Number]
StopText = Annotated[str, Field(min_length=1, max_length=256)]
TopP = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False), _Number]


def _describe_null(schema: dict[str, Any]) -> None:
    """What may be left out may be null."""
    for name, field in schema["properties"].items():
        if name not in schema.get("required", ()) and {"type": "null"} not in field.get("anyOf", ()):
            schema["properties"][name] = {"anyOf": [field, {"type": "null"}]}


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=False)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False)


class TextPart(_Lenient):
    type: Literal["text"]
    text: Text


class ChatMessage(_Lenient):
    """`content` may be a list of text parts. Images are refused: no address is ever fetched."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[TextPart]

    def plain(self) -> Message:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class StreamOptions(_Lenient):
    include_usage: Flag = False


class StrategyOptions(_Strict):
    """Options of ours, in the body as `reasonrl`."""

    strategy: str | None = Field(
        default=None, max_length=64, description="In place of the one that the model's name says."
    )
    rounds: Count | None = None
    samples: Count | None = None
    critiques: Count | None = None
    tries: Count | None = None
    budget_tokens: Tokens | None = Field(
        default=None, description="The most completion tokens of all hidden calls, those of all choices together."
    )
    deadline_s: Seconds | None = None
    trace: Flag = Field(default=False, description=TRACE)
    progress: Flag = Field(default=True, description="In a stream, say what is being done as reasoning.")

    def shared_by(self, choices: int) -> StrategyOptions:
        """Of each of these choices: the budget is that of all calls of the request."""
        if self.budget_tokens is None or choices == 1:
            return self
        return self.model_copy(update={"budget_tokens": max(1, self.budget_tokens // choices)})

    @property
    def of_strategies(self) -> list[str]:
        """Fields that are set and mean nothing without a strategy."""
        names = self.model_fields_set - {"strategy", "progress"}
        return sorted(name for name in names if getattr(self, name) not in (None, False))

    def counts(self) -> dict[str, int]:
        names = ("rounds", "samples", "critiques", "tries")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class ChatRequest(_Lenient):
    """`POST /v1/chat/completions`."""

    model_config = ConfigDict(json_schema_extra=_describe_null)

    model: str = Field(max_length=256)
    messages: list[ChatMessage] = Field(min_length=1, max_length=MOST_MESSAGES)
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES), _Number] = 1
    stop: StopText | Annotated[list[StopText], Field(max_length=16)] | None = None
    seed: Seed | None = None
    stream: Flag = False
    stream_options: StreamOptions | None = None
    tools: list[Any] | None = Field(default=None, json_schema_extra={"maxItems": 0})
    logprobs: Flag | None = Field(default=None, json_schema_extra={"enum": [False, None]})
    response_format: dict[str, Any] | None = Field(
        default=None, json_schema_extra={"properties": {"type": {"const": "text"}}, "required": ["type"]}
    )
    reasonrl: StrategyOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        """OpenAI's clients write null where they mean the default."""
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value

    @field_validator("tools")
    @classmethod
    def _no_tools(cls, value: list[Any] | None) -> None:
        if value:
            raise ValueError("this server does not call tools; leave them out")

    @field_validator("logprobs")
    @classmethod
    def _no_logprobs(cls, value: bool | None) -> None:
        if value:
            raise ValueError("this server does not give log-probabilities; leave it out")

    @field_validator("response_format")
    @classmethod
    def _no_format(cls, value: dict[str, Any] | None) -> None:
        if value is not None and value.get("type") != "text":
            raise ValueError("this server writes plain text only; leave it out")

    def within(self, seconds: float) -> ChatRequest:
        """The same, of a client that waits so long: its strategy ends a little earlier, unless it has a deadline."""
        options = self.reasonrl or StrategyOptions()
        if options.deadline_s is not None:
            return self
        deadline_s = seconds - min(5.0, 0.2 * seconds)
        return self.model_copy(update={"reasonrl": options.model_copy(update={"deadline_s": deadline_s})})

    @property
    def limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


class ClassifyOptions(_Strict):
    """Options of ours, in the body as `reasonrl`."""

    critiques: Count | None = Field(default=None, description="In place of those of the server's command line.")
    seed: Seed | None = None


class ClassifyRequest(_Lenient):
    """`POST /classify` and `POST /v1/embeddings`: chats that a template has rendered, or one chat as messages."""

    model_config = ConfigDict(json_schema_extra=_describe_null)

    model: str | None = Field(default=None, max_length=4096)
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=64)] | None = None
    messages: list[ChatMessage] | None = Field(default=None, min_length=1, max_length=MOST_MESSAGES)
    reasonrl: ClassifyOptions = ClassifyOptions()

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _one_of_both(self) -> ClassifyRequest:
        if (self.input is None) == (self.messages is None):
            raise ValueError("write either `input`, a rendered chat, or `messages`")
        return self


class CritiqueRequest(_Strict):
    """`POST /v1/critique`: a problem and a solution of it."""

    problem: Text = Field(min_length=1)
    solution: Text = Field(default="", description="Split into steps by the server, unless `steps` are given.")
    steps: list[Step] | None = Field(default=None, min_length=1, max_length=MOST_MESSAGES)
    samples: Count = Field(default=1, description="Critiques. Several give a probability with an interval.")
    temperature: Temperature | None = None
    max_tokens: Tokens | None = None
    seed: Seed | None = None
    deadline_s: Seconds | None = None
    trace: Flag = Field(default=False, description=TRACE)

    @model_validator(mode="after")
    def _one_of_both(self) -> CritiqueRequest:
        if self.steps is not None and self.solution:
            raise ValueError("write either `solution` or `steps`")
        if self.steps is not None and not all(step.strip() for step in self.steps):
            raise ValueError("`steps` must not be blank")
        return self


class RefineRequest(_Strict):
    """`POST /v1/refine`: solve a problem by a strategy."""

    problem: Text = Field(min_length=1)
    strategy: str = Field(default="refine", max_length=64)
    options: StrategyOptions = StrategyOptions()
    temperature: Temperature | None = None
    max_tokens: Tokens | None = None
    seed: Seed | None = None


class VerifyRequest(_Strict):
    """`POST /v1/verify`: responses, each against an answer that is known."""

    kind: Literal["math", "code", "lean"] = "math"
    response: Text
    answer: Text | None = Field(default=None, description="Of kind math.")
    tests: list[Text] | dict[str, Any] | None = Field(
        default=None, description="Of kind code: asserts, or inputs and outputs."
    )
    prompt: Text | None = None
    entry_point: str | None = Field(default=None, max_length=256)
    statement: Text | None = Field(default=None, description="Of kind lean: the theorem without its proof.")
    header: Text | None = Field(default=None, description="Of kind lean: what stands before the theorem.")
