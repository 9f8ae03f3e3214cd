"""Chat templates: the one place where they are called, and what they write around a turn of the assistant.

A chat template is a program that comes with a model. It may refuse a system message or two user messages in a row, drop
a message, close a turn that should be continued, or be broken. Each of these is one message here, never a traceback and
never a prompt that says something else than the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasonrl.errors import DataError, ModelError
from verifiers.response import strip_thinking
from verifiers.types import Message

ASSISTANT_TEXT = "reasonrl-assistant-text"
"""Stands for what the policy wrote where a template is rendered."""
_USER_TEXT = "reasonrl-user-text"
_A_DATE = "reasonrl-date"
_LONGEST_STOP = 40
"""Characters of a turn's end that may be offered as a stop string."""


def apply_template(tokenizer: Any, messages: Sequence[Message], owner: str, **options: Any) -> str:
    """The messages as text, as the tokenizer's chat template writes them.

    Args:
        owner: whose messages these are, for an error: "problem sums/3".
        options: of transformers' `apply_chat_template`.

    Raises:
        ModelError: there is no chat template, or it cannot be compiled.
        DataError: the template refuses these messages, or fails on them.
    """
    from jinja2 import TemplateSyntaxError

    if tokenizer.chat_template is None:
        raise ModelError(
            f"{owner} has messages, but the model's tokenizer has no chat template. Write data.prompt.style: text, or"
            " take a chat model"
        )
    try:
        return str(tokenizer.apply_chat_template(list(messages), tokenize=False, **options))
    except TemplateSyntaxError as error:
        raise ModelError(
            f"model.path: the chat template of {name_of(tokenizer)} is broken at its line {error.lineno}:"
            f" {_one_line(error)}. Correct it in chat_template.jinja or tokenizer_config.json, or write"
            " data.prompt.style: text"
        ) from error
    except Exception as error:  # a template is foreign code: it may raise anything
        roles = ", ".join(message["role"] for message in messages)
        raise DataError(
            f"{owner}: the chat template of {name_of(tokenizer)} refuses its messages (roles: {roles}):"
            f" {_one_line(error)}. {_advice(error, messages)}"
        ) from error


def render_chat(
    tokenizer: Any, messages: Sequence[Message], owner: str, functions: list[dict[str, Any]] | None = None
) -> str:
    """A prompt of messages as text, ready to be continued. `functions`: schemas of what the model may call.

    A last message of the assistant is not closed: the text ends as that message ends, and the model continues it. An
    empty one is the same as none.

    Raises:
        ModelError, DataError: see `apply_template`; or the template leaves out the text of a message.
    """
    chat = list(messages)
    if len(chat) > 1 and chat[-1]["role"] == "assistant" and not chat[-1]["content"].strip():
        chat.pop()
    if chat and chat[-1]["role"] == "assistant":
        text = _continued(tokenizer, chat, owner)
    else:
        tools = {"tools": functions} if functions else {}
        text = apply_template(tokenizer, chat, owner, add_generation_prompt=True, **tools)
    left_out = _left_out(text, chat)
    if left_out is not None:
        left_out = _dropped_by_role(tokenizer, chat) or left_out
        raise DataError(
            f"{owner}: the chat template of {name_of(tokenizer)} leaves out the text of the"
            f" {left_out['role']} message {left_out['content']!r:.60}, so the model would not see it. Send it as"
            " another role, or correct the template"
        )
    return text


def _left_out(text: str, chat: Sequence[Message]) -> Message | None:
    """The first message whose words are not in `text` after those of the message before it.

    A system message may stand anywhere, and of an assistant's what follows its thought is enough: templates leave out
    earlier thoughts.
    """
    words = " ".join(text.split())
    place = 0
    for message in chat:
        content = message["content"]
        if message["role"] == "assistant":
            content = strip_thinking(content)
        wanted = " ".join(content.split())
        if message["role"] == "system":
            start = words.find(wanted)
        elif message["role"] in ("user", "assistant"):
            start = words.find(wanted, place)
            place = start + len(wanted)
        else:
            continue
        if start < 0:
            return message
    return None


def _dropped_by_role(tokenizer: Any, chat: Sequence[Message]) -> Message | None:
    """The first message whose place in the chat is left out, whatever its text. A short text may stand in another
    message as well, and `_left_out` then names the message after it.
    """
    marked: list[Message] = [{**message, "content": f"reasonrl-text-{i}."} for i, message in enumerate(chat)]
    try:
        shown = apply_template(tokenizer, marked, "a test", add_generation_prompt=True)
    except (DataError, ModelError):
        return None
    return next((chat[i] for i, message in enumerate(marked) if message["content"] not in shown), None)


def check_dialogue(tokenizer: Any, owner: str) -> None:
    """Raises DataError or ModelError where the template refuses a question, an answer, and a reply to it."""
    chat: list[Message] = [
        {"role": "user", "content": _USER_TEXT},
        {"role": "assistant", "content": ASSISTANT_TEXT},
        {"role": "user", "content": _USER_TEXT},
    ]
    apply_template(tokenizer, chat, owner, add_generation_prompt=True)


def turn_end(tokenizer: Any) -> str:
    """What the chat template writes directly after an assistant's text, without white space around it.

    Of that, the first special or added token alone, where it begins with one. Empty where there is no template, where
    it refuses a plain exchange, or where it writes nothing.
    """
    if tokenizer.chat_template is None:
        return ""
    exchange: list[Message] = [
        {"role": "user", "content": _USER_TEXT},
        {"role": "assistant", "content": ASSISTANT_TEXT},
    ]
    try:
        text = apply_template(tokenizer, exchange, "a test")
    except (DataError, ModelError):  # a prompt of this kind is refused where there is one
        return ""
    if ASSISTANT_TEXT not in text:
        return ""
    tail = text.rpartition(ASSISTANT_TEXT)[2].strip()
    tokens = [str(token) for token in tokenizer.added_tokens_decoder.values()]
    first = max((token for token in tokens if token and tail.startswith(token)), key=len, default="")
    return first or next(iter(tail.splitlines()), "")


def turn_end_warning(tokenizer: Any, end_ids: Sequence[int], stop: Sequence[str]) -> str | None:
    """A warning where the end of a turn in the template ends no response: the model would write on.

    Args:
        end_ids: tokens that end a response.
        stop: strings that end a response.
    """
    end = turn_end(tokenizer)
    if not end or len(end) > _LONGEST_STOP or any(text in end for text in stop):
        return None
    ids = list(tokenizer(end, add_special_tokens=False)["input_ids"])
    if set(ids) & set(end_ids):
        return None
    return (
        f"the chat template ends a turn of the assistant with {end!r}, but neither the tokenizer's eos_token nor"
        " generation_config.json names it, so a model that learnt this template writes on after its answer. Write"
        f" rollout.stop: {_yaml_list(end)}"
    )


def date_warning(tokenizer: Any, owner: str) -> str | None:
    """A warning where the template writes the time or the date into a prompt: the same row gives other prompts on other
    days.
    """
    template = tokenizer.chat_template
    if isinstance(template, dict):  # of several, a prompt is written by this one
        template = template.get("default")
    if "strftime_now" not in (template or ""):
        return None
    question: list[Message] = [{"role": "user", "content": _USER_TEXT}]
    # transformers 5.24 passes no functions on to a template, so one is defined in it
    dated = "{%- macro strftime_now(format) -%}" + _A_DATE + "{%- endmacro -%}" + template
    if _A_DATE not in apply_template(tokenizer, question, owner, chat_template=dated):
        return None
    return (
        f"the chat template of {name_of(tokenizer)} writes the date into every prompt, so a run that is resumed, or an"
        " evaluation on another day, has other prompts. Where that matters, write a fixed date in place of"
        " strftime_now in the template"
    )


def unopened_turn_warning(tokenizer: Any) -> str | None:
    """A warning where the template ignores add_generation_prompt, and an assistant's text has a beginning (its role,
    say) that the prompt lacks: the model would have to write it.
    """
    user: Message = {"role": "user", "content": _USER_TEXT}
    try:
        prompt = apply_template(tokenizer, [user], "a test", add_generation_prompt=True)
        if prompt != apply_template(tokenizer, [user], "a test", add_generation_prompt=False):
            return None
        exchange = apply_template(tokenizer, [user, {"role": "assistant", "content": ASSISTANT_TEXT}], "a test")
    except (DataError, ModelError):  # a prompt of this kind is refused where there is one
        return None
    beginning = exchange.removeprefix(prompt).partition(ASSISTANT_TEXT)[0].strip()
    if not exchange.startswith(prompt) or not beginning:
        return None
    return (
        f"the chat template of {name_of(tokenizer)} writes {beginning!r} before a text of the assistant, but not at the"
        " end of a prompt: it ignores add_generation_prompt, so the model has to write that itself. Add it to the"
        " template"
    )


def name_of(tokenizer: Any) -> str:
    return getattr(tokenizer, "name_or_path", "") or "this tokenizer"


def _continued(tokenizer: Any, chat: Sequence[Message], owner: str) -> str:
    beginning = chat[-1]["content"]
    text = apply_template(tokenizer, chat, owner, continue_final_message=True)
    bare = beginning.rstrip()
    if text.rstrip().endswith(bare):  # a template may trim what it writes; the model continues the text of the data
        return text.rstrip() + beginning[len(bare) :]
    raise DataError(
        f"{owner}: its prompt ends in an assistant's turn, but the chat template of {name_of(tokenizer)} does not end"
        f" with the text of that turn ({beginning!r:.60}), so the model cannot continue it. Remove the turn from the"
        " prompt"
    )


def _advice(error: Exception, messages: Sequence[Message]) -> str:
    text = str(error).lower()
    if "system" in text and any(message["role"] == "system" for message in messages):
        return "Leave out data.prompt.system or the system message: put its text into the user message"
    if "alternat" in text:
        return (
            "Let the roles alternate (user, assistant, user): join neighbouring messages of one role, and put a system"
            " text into the user message"
        )
    if "continue_final_message" in text:
        return "The prompt ends in an assistant's turn, and this template cannot continue one: remove that turn"
    return "Change these messages, or correct the template, or write data.prompt.style: text for plain questions"


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    kind = type(error).__name__
    if "continue_final_message" in text:
        return "it does not write the text of the last one as it is"
    return f"{kind}: {text[:200]}" if text else kind


def _yaml_list(text: str) -> str:
    import json

    return json.dumps([text], ensure_ascii=False)
