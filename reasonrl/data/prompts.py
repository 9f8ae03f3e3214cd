"""Turns a question into a prompt: template, worked examples and system message, as chat messages or plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from reasonrl.errors import DataError
from verifiers.types import Message, Problem

_PLACEHOLDER = re.compile(r"\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)\}")


def render_prompt(
    problem: Problem,
    *,
    template: str | None = None,
    few_shot: Sequence[tuple[str, str]] = (),
    style: str = "chat",
    system: str | None = None,
) -> Problem:
    r"""The problem with the prompt that the model sees.

    Chat: [system,] then for each example a user message (its question in the template) and an assistant message (its
    answer), then the question in the template. Text: the system text and an empty line, then for each example its
    question in the template, its answer exactly as given, and a newline, then the question in the template. With the
    template "Q: {question}\nA:" and examples such as ("1 + 2", " 3") that is the usual few-shot prompt.

    Args:
        problem: its prompt is a plain question. Messages pass unchanged, if nothing is asked to be done to them.
        template: "{question}" stands for the question; None is the question alone. Other braces are text, so "\boxed{}"
        is safe;
            write "{{name}}" for a literal "{name}".
        few_shot: (question, answer) pairs.
        style: "chat" or "text".
        system: a text that comes first.

    Raises:
        DataError: an unknown placeholder, a template without {question}, or messages that cannot be put into a
            template.
    """
    if style not in ("chat", "text"):
        raise DataError(f"prompt style must be chat or text, not {style!r}")
    check_template(template)
    if not isinstance(problem.prompt, str):
        if style == "chat" and template is None and not few_shot and system is None:
            return problem
        raise DataError(
            f"problem {problem.id!r}: its prompt is a list of messages, so it cannot take a template, few-shot"
            " examples, system text or text style. Leave those out, or use data whose prompts are plain questions"
        )
    if style == "text":
        if few_shot and template is None:
            raise DataError(
                "few-shot examples in text style need a template that sets them apart, such as 'Q: {question}\\nA:'"
            )
        head = f"{system}\n\n" if system else ""
        examples = "".join(f"{_fill(template, question)}{answer}\n" for question, answer in few_shot)
        return replace(problem, prompt=head + examples + _fill(template, problem.prompt))
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for question, answer in few_shot:
        messages += [{"role": "user", "content": _fill(template, question)}, {"role": "assistant", "content": answer}]
    messages.append({"role": "user", "content": _fill(template, problem.prompt)})
    return replace(problem, prompt=messages)


def check_template(template: str | None) -> None:
    """Raises DataError unless the template has {question} and no other placeholder."""
    if template is None:
        return
    names = [match.group(2) for match in _PLACEHOLDER.finditer(template) if match.group(2)]
    unknown = sorted({name for name in names if name != "question"})
    if unknown:
        placeholders = ", ".join(f"{{{name}}}" for name in unknown)
        literal = ", ".join(f"{{{{{name}}}}}" for name in unknown)
        raise DataError(
            f"the prompt template has unknown placeholders: {placeholders}. Use {{question}} only. For literal"
            f" braces: {literal}"
        )
    if "question" not in names:
        raise DataError(f"the prompt template must contain {{question}}: {template!r:.80}")


def _fill(template: str | None, question: str) -> str:
    if template is None:
        return question
    return _PLACEHOLDER.sub(lambda match: f"{{{match.group(1)}}}" if match.group(1) else question, template)
