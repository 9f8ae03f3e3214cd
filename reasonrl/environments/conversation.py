"""A trajectory of several turns, written token by token: what the policy samples and what its partner says.

    conversation = Conversation(tokenizer, problem, sampling)
    turn = await conversation.policy_turn(engine, seed)        sampled ids are appended as they are, mask True
    conversation.add("That is too high.")                      a message, encoded once and appended, mask False
    turn = await conversation.policy_turn(engine, seed)        the engine gets prompt + response so far, id for id

Nothing that was sampled is decoded and encoded again: for most tokenizers that would change the ids, and the trainer
would score tokens that were never drawn.

The joint between a turn and the next follows the chat template, whatever its family. The template renders a fixed
exchange once without and once with the new message, and the first text must begin the second. What the template writes
between the assistant's text and its next turn is then encoded, and of the end of the turn is left out what the policy
has sampled already:

    ChatML (Qwen, SmolLM2)   ... <|im_end|>  +  newline, <|im_start|>user ... <|im_start|>assistant, newline
    Llama 3                  ... <|eot_id|>  +  <|start_header_id|>user ...
    GLM                      ... <|user|>    +  the message: the role token that ended the turn is the next one's first
    any, after a stop string or a cut        +  the end of the turn as well, or what the stop string lacks of it

A prompt that is a text, for models without a chat template, is continued with plain text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from reasonrl.engines.base import Engine, Sampling, response_text
from reasonrl.environments.base import Trajectory, Turn
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.errors import ModelError
from reasonrl.models.chat_template import ASSISTANT_TEXT, apply_template, name_of
from reasonrl.models.special_tokens import opened_thought
from verifiers.response import THINKING_TAGS
from verifiers.types import Message, Problem


@dataclass(frozen=True)
class PolicyTurn:
    """What the policy wrote in one turn."""

    text: str
    """As a verifier reads it: behind the opening tag of a thought that it continues."""
    written: str
    """Without this tag."""
    token_ids: list[int]
    finish_reason: str
    """stop or length. A turn of length was cut off: a request in it may be half written, and must not be executed."""


class Conversation:
    """Turns of the policy and of its partner after one prompt, as ids.

    Args:
        tokenizer: of the policy. Its chat template renders messages.
        problem: its prompt is messages, or a text for models without a chat template.
        sampling: `max_new_tokens` bounds one turn of the policy, `response_limit` the tokens of all turns.
        role: the name of the trajectory.
    """

    def __init__(
        self,
        tokenizer: Any,
        problem: Problem,
        sampling: Sampling,
        *,
        role: str = "policy",
    ) -> None:
        self._tokenizer, self._sampling, self._role = tokenizer, sampling, role
        self._plain_text = isinstance(problem.prompt, str)
        self.prompt_ids = encode_prompt(tokenizer, problem)
        self.response_ids: list[int] = []
        self._mask: list[bool] = []
        self._logprobs: list[float] = []
        self._turns: list[Turn] = []
        self._finish_reason = "stop"
        self._frame_ids = list(self.prompt_ids)
        """The prompt, the policy's turns and what the template wrote, without what anybody else said: it tells whether
        the policy's turn goes on within a thought.
        """
        self._has_spoken = False
        """Whether the policy has, since the template began its turn."""

    @property
    def token_ids(self) -> list[int]:
        """The prompt and all turns so far: what the next request begins with."""
        return self.prompt_ids + self.response_ids

    @property
    def room(self) -> int:
        """How many more tokens the trajectory may hold."""
        return self._sampling.response_limit - len(self.response_ids)

    @property
    def turns(self) -> tuple[Turn, ...]:
        return tuple(self._turns)

    async def policy_turn(self, engine: Engine, seed: int, *, max_new_tokens: int | None = None) -> PolicyTurn:
        """The policy continues. Its tokens carry loss.

        Args:
            max_new_tokens: of this turn; None: `sampling.max_new_tokens`. What the room allows is a bound as well.

        Raises ValueError where there is no room.
        """
        limit = min(max_new_tokens or self._sampling.max_new_tokens, self.room)
        if limit < 1:
            raise ValueError(
                f"the conversation holds {len(self.response_ids)} of {self._sampling.response_limit} tokens, so there"
                " is no room for another turn: end the episode when `add` returns False"
            )
        sampling = self._sampling.for_turn(limit)
        generation = await engine.generate(self.token_ids, sampling, seed)
        written = response_text(self._tokenizer, generation, sampling)
        text = self._opened_thought() + written
        self._append(generation.token_ids, text, self._role, generation.logprobs)
        self._finish_reason = generation.finish_reason
        return PolicyTurn(text, written, list(generation.token_ids), generation.finish_reason)

    def append_policy(self, token_ids: list[int], text: str) -> None:
        """Append a turn of the policy that was not sampled here: one of a demonstration. Its log-probs are 0."""
        self._append(token_ids, text, self._role, [0.0] * len(token_ids))

    def add(self, text: str, *, role: str = "user", min_room: int = 1) -> bool:
        """The partner says `text`: see `add_messages`. After a text prompt, `text` is appended as it stands."""
        return self.add_messages([{"role": role, "content": text}], min_room=min_room)

    def add_messages(self, messages: list[Message], *, min_room: int = 1) -> bool:
        """Append messages of the environment, and what the template writes before the policy's next turn.

        Special tokens in their text are encoded as plain text: nobody but the template and the policy ends a turn.

        Args:
            min_room: tokens that must be left for the policy.

        Returns:
            False where they do not fit: nothing is appended then, and the trajectory counts as cut off.

        Raises:
            ValueError: before the first turn of the policy, or for no messages.
            ModelError: when the chat template does not keep the text of earlier turns, or drops a message.
            DataError: when the chat template refuses the messages.
        """
        if not self.response_ids or not messages:
            raise ValueError("a message is added after a turn of the policy: put what comes before it into the prompt")
        frame: list[int] = []
        if self._plain_text:
            ids = [token for message in messages for token in _encode_plain(self._tokenizer, message["content"])]
        else:
            ids, frame = self._delta(messages)
        if self.room - len(ids) < max(1, min_room):
            self._finish_reason = "length"
            return False
        if not self._plain_text:
            self._frame_ids += frame
            self._has_spoken = False
        self._append(ids, "\n".join(message["content"] for message in messages), messages[-1]["role"], None)
        return True

    def add_text(self, text: str, *, role: str, min_room: int = 1) -> bool:
        """Append a text behind the policy's turn as it is, without the chat template: the policy goes on behind it.

        Special tokens in it are encoded as plain text. Arguments and result are those of `add_messages`.

        Raises ValueError before the first turn of the policy.
        """
        if not self._turns:
            raise ValueError("a text is added after a turn of the policy: put what comes before it into the prompt")
        ids = _encode_plain(self._tokenizer, text)
        if self.room - len(ids) < max(1, min_room):
            self._finish_reason = "length"
            return False
        self._append(ids, text, role, None)
        return True

    def trajectory(self) -> Trajectory:
        """The trajectory up to the last turn of the policy: a message that nobody answered is left out."""
        last = max((i for i, turn in enumerate(self._turns) if turn.by_policy), default=-1)
        turns = self._turns[: last + 1]
        end = turns[-1].stop if turns else 0
        return Trajectory(
            role=self._role,
            prompt_ids=list(self.prompt_ids),
            response_ids=self.response_ids[:end],
            loss_mask=self._mask[:end],
            logprobs=self._logprobs[:end],
            text=turns[-1].text if turns else "",
            finish_reason=self._finish_reason,
            turns=tuple(turns),
        )

    def _append(self, ids: list[int], text: str, role: str, logprobs: list[float] | None) -> None:
        """Log-probs None: tokens of the environment."""
        start = len(self.response_ids)
        self.response_ids += ids
        self._mask += [logprobs is not None] * len(ids)
        self._logprobs += [0.0] * len(ids) if logprobs is None else logprobs
        if logprobs is not None:
            self._frame_ids += ids
            self._has_spoken = True
        self._turns.append(Turn(role, start, len(self.response_ids), text, by_policy=logprobs is not None))

    def _opened_thought(self) -> str:
        """What the policy's next turn continues of a thought: its opening tag, with what the template wrote behind it
        where it wrote the tag.
        """
        opened = opened_thought(self._tokenizer, self._frame_ids)
        if not (opened and self._has_spoken):
            return opened
        return next(f"{tag}\n" for tag, _ in THINKING_TAGS if opened.startswith(tag))

    def _delta(self, messages: list[Message]) -> tuple[list[int], list[int]]:
        """What follows the last turn of the policy: the end of that turn, the messages, the beginning of the next. And
        what of it is the template's own.
        """
        end, added = delta_text(self._tokenizer, messages)
        frame = _encode_template(self._tokenizer, end + "".join(piece.text for piece in added if not piece.is_content))
        return self._behind_turn(_encode_delta(self._tokenizer, end, added), end), frame

    def _behind_turn(self, ids: list[int], end: str) -> list[int]:
        """Without what of the end of the turn the policy has sampled already."""
        if self._finish_reason == "length" and ids[:1] and ids[0] not in self._tokenizer.added_tokens_decoder:
            return ids  # the cut-off text may happen to end as the end of a turn begins
        longest = max(1, len(_encode_template(self._tokenizer, end)))
        for length in range(min(longest, len(ids), len(self.response_ids)), 0, -1):
            if self.response_ids[-length:] == ids[:length]:
                return ids[length:]
        return ids


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what a template writes."""

    text: str
    is_content: bool
    """Whether it is the text of a message, as the template shows it; else the template's own."""


def delta_text(tokenizer: Any, messages: list[Message]) -> tuple[str, list[Piece]]:
    """What the chat template writes between an assistant's text and the assistant's next turn: the end of the turn, and
    the messages with the beginning of the next.

    The template is given a word of our own in place of each text, so that it is known where the text stands, whatever
    it says. Llama 3 writes results as JSON: then so are these.

    Raises:
        ModelError: the template renders the earlier turns otherwise as soon as something follows, or leaves out the
            text of a message.
        DataError: the template refuses the messages.
    """
    owner = "a conversation of several turns"
    name = name_of(tokenizer)
    marked: list[Message] = [
        {**message, "content": _marked(message["content"], i)}  # type: ignore[typeddict-item]
        for i, message in enumerate(messages)
    ]
    for answer in (ASSISTANT_TEXT, f"<think>\nreasonrl-thought\n</think>\n\n{ASSISTANT_TEXT}"):
        # Qwen3 writes an empty thought into a last turn that has none, and leaves it out when a result follows.
        exchange: list[Message] = [
            {"role": "user", "content": "reasonrl-user-text"},
            {"role": "assistant", "content": answer},
        ]
        before = apply_template(tokenizer, exchange, owner)
        after = apply_template(tokenizer, [*exchange, *marked], owner, add_generation_prompt=True)
        if after.startswith(before):
            break
    if not after.startswith(before) or ASSISTANT_TEXT not in before:
        raise ModelError(
            f"the chat template of {name} changes earlier turns when a message follows, so a conversation of several"
            " turns would not be the one that was sampled. Give the model a chat template that keeps them"
        )
    pieces: list[Piece] = []
    left = after[len(before) :]
    for i, message in enumerate(messages):
        content = message["content"].strip()
        if not content:
            continue
        mark, as_json = _mark(i), json.dumps(_mark(i))[1:-1]
        if mark in left:
            before_text, _, left = left.partition(mark)
        elif as_json in left:
            before_text, _, left = left.partition(as_json)
            content = json.dumps(content, ensure_ascii=False)[1:-1]
        else:
            raise ModelError(
                f"the chat template of {name} leaves out a message of the role '{message['role']}'. Send it as another"
                " role, or give the model a chat template that knows this one"
            )
        pieces += [Piece(before_text, is_content=False), Piece(content, is_content=True)]
    pieces.append(Piece(left, is_content=False))
    if any(_MARK_END in piece.text for piece in pieces if not piece.is_content):
        raise ModelError(f"the chat template of {name} writes a message twice. Give the model one that does not")
    return before.rpartition(ASSISTANT_TEXT)[2], pieces


_MARK_END = "reasonrl-text-end"


def _mark(number: int) -> str:
    """What stands for the text of a message: a quote and a line break tell whether the template changes texts."""
    return f'reasonrl-text "{number}"\n{_MARK_END}'


def _marked(content: str, number: int) -> str:
    """The mark between the blanks of the text, which templates may cut off."""
    stripped = content.strip()
    if not stripped:
        return content
    begin = content.index(stripped)
    return content[:begin] + _mark(number) + content[begin + len(stripped) :]


def _encode_delta(tokenizer: Any, end: str, added: list[Piece]) -> list[int]:
    """As ids. They are encoded as a whole, as in a full render, unless a message contains an added token: it becomes
    the tokens of its characters.
    """
    special = [str(token) for token in tokenizer.added_tokens_decoder.values()]
    if not any(token in piece.text for piece in added if piece.is_content for token in special):
        return _encode_template(tokenizer, end + "".join(piece.text for piece in added))
    ids: list[int] = []
    text = end
    for piece in added:
        if piece.is_content:
            ids += _encode_template(tokenizer, text) + _encode_plain(tokenizer, piece.text)
            text = ""
        else:
            text += piece.text
    return ids + _encode_template(tokenizer, text)


def _encode_template(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _encode_plain(tokenizer: Any, text: str) -> list[int]:
    """Special tokens in `text` become the tokens of their characters."""
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
