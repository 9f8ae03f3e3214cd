"""The sneaky generator of SPC (arXiv:2504.19162): it rewrites a right step so that it looks right and is not.

Five kinds of error are predefined in the paper; its page shows one name ("calculation error"), the others are ours to
name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from critics.formats.base import after_thinking, fill, question_of
from critics.formats.untrusted import quoted
from verifiers.types import Message, Problem

ERROR_TYPES = (
    "a wrong conclusion from what came before",
    "a calculation error",
    "a misunderstood condition of the problem",
    "a rule, formula or property that is wrong or does not apply",
    "an assumption that nothing supports",
)
_STEP = re.compile(r"<step>(.*?)</step>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class SneakyPrompt:
    """What the generator is asked, with the kind of error in {error}, one of `error_types`; it answers with the new
    step in <step> tags.
    """

    instruction: str = (
        "Rewrite the last step so that it contains {error}. It should look convincing, and it should lead to a wrong"
        " answer. Give the new step between <step> and </step>."
    )
    prompt_template: str = "Problem:\n{question}\n\nSteps so far:\n{prefix}\n\nLast step:\n{step}\n\n{instruction}"
    empty_prefix: str = "(There are none: the last step is the first.)"
    error_types: Sequence[str] = ERROR_TYPES

    def render(self, problem: Problem, prefix: Sequence[str], step: str, error_type: str) -> list[Message]:
        text = fill(
            self.prompt_template,
            question=question_of(problem),
            prefix=quoted("\n".join(prefix), "steps") if prefix else self.empty_prefix,
            step=quoted(step, "step"),
            instruction=fill(self.instruction, error=error_type),
        )
        return [{"role": "user", "content": text}]


def spoilt_step(text: str, original: str) -> str | None:
    """The new step; None where there is not exactly one, or where it says what the right one says."""
    steps = [match.group(1).strip() for match in _STEP.finditer(after_thinking(text))]
    if len(steps) != 1 or not steps[0] or _plain(steps[0]) == _plain(original):
        return None
    return steps[0]


def _plain(step: str) -> str:
    return re.sub(r"[\s.]+", "", step).lower()
