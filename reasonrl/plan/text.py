"""The plan of a dry run as text: a block for each stage, a label and a text on each line."""

from __future__ import annotations

from reasonrl.plan.stage_plan import Plan, StagePlan

WIDTH = 15
"""Columns of a label."""


def plan_text(plan: Plan) -> str:
    resume = ["\n".join(_line("resume", text) for text in plan.resume)] if plan.resume else []
    return "\n\n".join([*resume, *map(stage_text, plan.stages), "nothing was trained (--dry-run)"])


def stage_text(plan: StagePlan) -> str:
    lines = [f"stage {plan.name} ({plan.kind})", _line("problems", _problems(plan))]
    lines += [_line(f"check {name:<9}", text) for name, text in plan.data_checks.items()]
    lines += [_line("reward", f"{key} returned {text}") for key, text in plan.rewards.items()]
    shown = zip(plan.first_prompts, plan.first_prompt_tokens, plan.gold_responses, strict=True)
    for prompt, tokens, gold in shown:
        lines += [
            _line("prompt", prompt),
            _line("prompt ids", str(tokens)),
            _line(plan.gold_label, repr(gold) if gold else "none in the reference"),
        ]
    if plan.response_text:
        lines.append(_line("special tokens", plan.response_text))
    lines += [_line(label, text) for label, text in plan.work.items()]
    size = f"{plan.trainable_parameters / 1e6:,.1f} M parameters" if plan.trainable_parameters else "of unknown size"
    lines.append(_line("model", size))
    lines += plan.backend or _cost(plan)
    lines += [_line("not checked", text) for text in plan.not_checked]
    lines += [_line("WARNING", text) for text in plan.warnings]
    return "\n".join(lines)


def _line(label: str, text: str) -> str:
    """Further lines of the text are indented as far as the first."""
    indented = text.replace("\n", "\n" + " " * (WIDTH + 3))
    return f"  {label:<{WIDTH}} {indented}"


def _problems(plan: StagePlan) -> str:
    if not plan.train_problems:
        return "not here yet"
    heldout = ", ".join(f"{name} ({count})" for name, count in plan.heldout_problems.items()) or "none"
    return (
        f"{plan.train_problems:,} to train on; held out: {heldout}; longest prompt {plan.longest_prompt_tokens} tokens"
    )


def _cost(plan: StagePlan) -> list[str]:
    """Memory and time of a stage that runs in this process."""
    lines = [_line("memory", f"about {plan.memory_gb:.1f} GB")]
    if plan.minutes:
        time = f"{plan.minutes:.0f} min" if plan.minutes >= 1 else f"{plan.minutes * 60:.0f} s"
        lines.append(_line("time", f"about {time} (a rough guess from this machine's speed)"))
    return lines
