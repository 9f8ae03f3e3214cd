"""What a prompt must not say: the answer. And what a chat template makes of prompts, where a person should know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from reasonrl.environments.single_turn import encode_prompt
from reasonrl.errors import DataError
from reasonrl.host.outputs import user_path
from reasonrl.models.chat_template import date_warning, name_of, turn_end_warning, unopened_turn_warning
from reasonrl.models.loading import end_token_ids, load_generation_config
from reasonrl.models.special_tokens import special_tokens
from reasonrl.recipe.schema import Recipe
from verifiers.types import Message, Problem, Verifier

_OFTEN = 0.8
"""The share of a set's prompts that end in their gold answer, from which on that is no coincidence."""
_STATED = 0.1
"""The same of prompts that state it as the answer. A few do by chance: worked examples, or two choices."""
_STATES = re.compile(r"\\boxed|####|answer|solution|result", re.IGNORECASE)
"""One of these stands before an answer that is stated."""


def check_last_turns(problems: Sequence[Problem], verifier: Verifier | None, *, continues: bool) -> None:
    """Look at prompts that end in a turn of the assistant.

    Args:
        verifier: None where there is nothing to judge by: then the texts alone are compared.
        continues: the recipe says that such a turn is to be continued.

    Raises:
        DataError: the turn gives the gold answer, or the recipe does not say that it is continued. An empty turn is the
            same as none.
    """
    for row, problem in enumerate(problems, 1):
        last = _last_turn(problem)
        if last is None:
            continue
        if _gives_answer(last, problem, verifier):
            raise DataError(
                f"row {row} ({problem.id}): its prompt ends in a turn of the assistant that gives the gold answer:"
                f" {last!r:.80}. The model would be shown what it is asked for. Remove that turn from the prompt"
            )
        if not continues:
            raise DataError(
                f"row {row} ({problem.id}): its prompt ends in a turn of the assistant: {last!r:.80}. Write"
                " data.prompt.last_assistant: continue, and the model continues that text; or remove the turn from the"
                " prompt"
            )


def gold_warnings(name: str, problems: Sequence[Problem], *, examples: bool = False) -> list[str]:
    """A warning for a set whose prompts tell their gold answers; `name` is its field in the recipe.

    A gold answer that merely occurs is no sign: 3 is the answer to "What is 3 * 1?". It is one where it stands as the
    answer ("#### 3", "\\boxed{3}", "answer: 3", an earlier turn of the assistant), or where prompts often end with it.
    With worked `examples` in the prompts, only the second is looked at: their answers are those of other problems.
    """
    stated, at_end = [], []
    for problem in problems:
        gold = _gold(problem)
        if problem.kind == "critique" or not gold:
            continue
        if not examples and _is_stated(gold, problem):
            stated.append(problem)
        elif gold in _asked(problem) and re.search(rf"(?<![\w.]){re.escape(gold)}[\s.)}}\]]*\Z", _asked(problem)):
            at_end.append(problem)
    warnings = []
    if stated and len(stated) >= _STATED * len(problems):
        warnings.append(_leak(name, "states its gold answer as the answer", stated, problems))
    if len(at_end) > 1 and len(at_end) >= _OFTEN * len(problems):
        warnings.append(_leak(name, "ends with its gold answer", at_end, problems))
    return warnings


def template_warnings(recipe: Recipe, tokenizer: Any, end_ids: Sequence[int], problems: Sequence[Problem]) -> list[str]:
    """What the tokens that end a response, and the chat template, do that a recipe may have to answer.

    Args:
        end_ids: tokens that end a response.

    Raises:
        DataError: a prompt that is a text ends with one of these.
    """
    ends = _end_tokens(tokenizer, end_ids)
    _check_text_ends(problems, [token for token in ends.values() if token])
    warnings = [_end_warning(ends, recipe.rollout.stop)]
    first = next((problem for problem in problems if not isinstance(problem.prompt, str)), None)
    if first is None or tokenizer.chat_template is None or recipe.kind == "sft":
        return [warning for warning in warnings if warning is not None]
    warnings += [
        turn_end_warning(tokenizer, end_ids, recipe.rollout.stop),
        unopened_turn_warning(tokenizer),
        date_warning(tokenizer, f"problem {first.id}"),
        _frame_warning(tokenizer, problems),
    ]
    bos = tokenizer.bos_token_id
    begins_texts = bos is not None and list(tokenizer("1")["input_ids"])[:1] == [bos]
    if begins_texts and bos not in encode_prompt(tokenizer, first):
        warnings.append(
            f"the tokenizer of {name_of(tokenizer)} begins a text with {tokenizer.bos_token!r}, but its chat template"
            " does not: prompts of messages begin without it, as in transformers and vLLM"
        )
    return [warning for warning in warnings if warning is not None]


def known_end_ids(source: str, tokenizer: Any, config: Any) -> list[int]:
    """Tokens that end a response, as far as they are known without the weights: generation_config.json is read where
    the model is a folder.
    """
    if (user_path(source, "model.path:") / "generation_config.json").is_file():
        return end_token_ids(tokenizer, load_generation_config(str(user_path(source, "model.path:"))))
    return end_token_ids(tokenizer, config)


def _end_tokens(tokenizer: Any, end_ids: Sequence[int]) -> dict[int, str]:
    """The token of each id; empty for an id that is none of the tokenizer's."""
    known = max(len(tokenizer), tokenizer.vocab_size)
    return {i: str(tokenizer.convert_ids_to_tokens(i) or "") if 0 <= i < known else "" for i in end_ids}


def _end_warning(ends: dict[int, str], stop: Sequence[str]) -> str | None:
    if not ends and not stop:
        return (
            "no token ends a response: neither the tokenizer nor generation_config.json names one, so every response"
            " has rollout.max_new_tokens tokens. Write rollout.stop, or add eos_token to tokenizer_config.json"
        )
    unknown = next((i for i, token in ends.items() if not token), None)
    if unknown is None:
        return None
    return (
        f"eos_token_id of generation_config.json names the id {unknown}, which is no token of the tokenizer, so it ends"
        " no response. Correct it there"
    )


def _check_text_ends(problems: Sequence[Problem], ends: Sequence[str]) -> None:
    for problem in problems:
        if not isinstance(problem.prompt, str):
            continue
        end = next((token for token in ends if problem.prompt.rstrip().endswith(token)), None)
        if end is not None and problem.prompt.strip() != end:
            raise DataError(
                f"problem {problem.id}: its prompt ends with {end!r}, which ends a response, so a model has nothing to"
                " say after it. Remove it from the prompt, or add the beginning of an answer"
            )


def _frame_warning(tokenizer: Any, problems: Sequence[Problem]) -> str | None:
    """A warning of messages that hold tokens with which the chat template frames turns."""
    tokens = special_tokens(tokenizer)
    frame = [re.escape(tokens.dropped[i]) for i in tokens.dropped if i != tokenizer.unk_token_id]
    if not frame:
        return None
    pattern = re.compile("|".join(frame))
    held = [
        (problem.id, match.group())
        for problem in problems
        if not isinstance(problem.prompt, str)
        and (match := next(filter(None, (pattern.search(m["content"]) for m in problem.prompt)), None))
    ]
    if not held:
        return None
    return (
        f"messages of {len(held):,} of {len(problems):,} problems hold special tokens such as {held[0][1]!r} (first:"
        f" {held[0][0]}), which the model reads as the end of a turn or a text, not as characters. If that is not"
        " meant, remove them from the data"
    )


def _last_turn(problem: Problem) -> str | None:
    """The text of a turn of the assistant that ends the prompt."""
    if isinstance(problem.prompt, str) or not problem.prompt:
        return None
    message: Message = problem.prompt[-1]
    return message["content"] if message["role"] == "assistant" and message["content"].strip() else None


def _gives_answer(text: str, problem: Problem, verifier: Verifier | None) -> bool:
    known = [_gold(problem), problem.reference.get("response"), problem.reference.get("demonstration")]
    golds = [gold.strip() for gold in known if isinstance(gold, str) and gold.strip()]
    if any(_ends_with(text, gold) for gold in golds):
        return True
    if verifier is None:
        return False
    try:
        if verifier.gold_response(problem.reference).strip() == text.strip():
            return True
    except ValueError:  # a verifier that writes no answers
        pass
    return verifier.verify([text], [problem.reference])[0].score == 1.0


def _ends_with(text: str, gold: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(gold)}[\s.)}}\]$*]*\Z", text) is not None or gold == text.strip()


def _gold(problem: Problem) -> str:
    """The answer as a text; empty where the reference has none."""
    answer = problem.reference.get("answer")
    return str(answer).strip() if isinstance(answer, str | int | float) and not isinstance(answer, bool) else ""


def _asked(problem: Problem) -> str:
    """The text of the last message, or of a prompt that is a text."""
    return problem.prompt if isinstance(problem.prompt, str) else problem.prompt[-1]["content"]


def _is_stated(gold: str, problem: Problem) -> bool:
    if not isinstance(problem.prompt, str) and any(
        message["role"] == "assistant" and message["content"].strip() == gold for message in problem.prompt[:-1]
    ):
        return True
    others = (
        [] if isinstance(problem.prompt, str) else [m["content"] for m in problem.prompt if m["role"] != "assistant"]
    )
    # A pattern for each row is compiled where a row may match: for all of 30,000 rows that took 12 s.
    texts = [text for text in others or [_asked(problem)] if _STATES.search(text) and _may_hold(text, gold)]
    if not texts:
        return False
    word = re.escape(gold)
    stated = (
        rf"\\boxed\{{\s*{word}\s*\}}|####\s*{word}(?![\w.]\w)|<answer>\s*{word}\s*</answer>"
        rf"|\b(?:answer|solution|result)(?:\s+is\b)?(?:\s*[:=]\s*|\s+){word}(?!\w|\.\d)"
    )
    return any(re.search(stated, text, re.IGNORECASE) for text in texts)


def _may_hold(text: str, gold: str) -> bool:
    """Whether the text may hold the answer, in any case. Beyond ASCII a letter may have several other cases."""
    return not gold.isascii() or not text.isascii() or gold.lower() in text.lower()


def _leak(name: str, what: str, leaking: Sequence[Problem], problems: Sequence[Problem]) -> str:
    return (
        f"{name}: the prompt of {len(leaking):,} of {len(problems):,} problems {what} (first: {leaking[0].id}). If"
        " that is not meant, the model only has to copy it: remove it from the prompts"
    )
