"""Chat templates: the one place where they are called, and what they write around a turn of the assistant.

A chat template is a program that comes with a model. It may refuse a system message or two user messages in a row, drop
a message, close a turn that should be continued, or be broken. Each of these is one message here, never a traceback and
never a prompt that says something else than the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasonrl.errors import DataError, ModelError
from verifiers.types import Message

ASSISTANT_TEXT = "reasonrl-assistant-text"
"""Stands for what the policy wrote where a template is rendered."""
_USER_TEXT = "reasonrl-user-text"
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


def render_chat(tokenizer: Any, messages: Sequence[Message], owner: str) -> str:
    """A prompt of messages as text, ready to be continued.

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
        text = apply_template(tokenizer, chat, owner, add_generation_prompt=True)
    words = " ".join(text.split())
    for message in chat:
        if message["role"] in ("user", "system") and " ".join(message["content"].split()) not in words:
            raise DataError(
                f"{owner}: the chat template of {name_of(tokenizer)} leaves out the text of the"
                f" {message['role']} message {message['content']!r:.60}, so the model would not see it. Send it as"
                " another role, or correct the template"
            )
    return text


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
