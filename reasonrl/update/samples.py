"""What samples.jsonl keeps of the rollouts of a step."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from reasonrl.environments.base import Episode, Trajectory
from reasonrl.environments.single_turn import render_prompt_text
from reasonrl.errors import TrainingError
from reasonrl.update.prepared import PreparedUpdate
from reasonrl.update.rollouts import StepRollouts
from reasonrl.user_code.guards import kind_of, shown

LONGEST_REFERENCE = 50_000
"""Characters of JSON."""
LEFT_OUT = "left_out"
"""The key of a reference that samples do not hold."""


def train_samples(
    rollouts: StepRollouts, prepared: PreparedUpdate, *, step: int, tokenizer: Any, credited: bool
) -> list[dict[str, Any]]:
    """One row for each episode, with the advantages that it was given before selection (step 9).

    Advantages of single tokens are kept only where they differ (`credited`).
    """
    rows = []
    episodes = zip(
        rollouts.episodes,
        rollouts.rewards,
        rollouts.groups,
        prepared.rollout_advantages.tolist(),
        prepared.token_advantages.tolist(),
        strict=True,
    )
    for episode, reward, group, advantage, token_advantages in episodes:
        trained = episode.trained_trajectory
        columns: dict[str, Any] = {
            "group": group,
            "response_ids": trained.response_ids,
            **({} if all(trained.loss_mask) else {"loss_mask": [int(mask) for mask in trained.loss_mask]}),
            "logprobs": [round(logprob, 6) for logprob in trained.logprobs],
        }
        if episode.off_policy:
            columns |= {"off_policy": True, "critique_text": episode.guiding_critique}
        if credited:
            columns["token_advantages"] = [round(value, 6) for value in token_advantages[: len(trained.response_ids)]]
        prompt = render_prompt_text(tokenizer, episode.problem)
        columns |= {"reward": reward, "advantage": advantage}
        row = sample_row(episode, kind="train", step=step, mode="train", prompt=prompt, **columns)
        rows.append(with_columns(row, sample_fields(episode)))
    return rows


def sample_row(
    episode: Episode, *, kind: str, step: int, mode: str, prompt: str, set_name: str | None = None, **columns: Any
) -> dict[str, Any]:
    """What samples.jsonl keeps of an episode: enough to read it, to judge it again, and to compute its advantage
    again.
    """
    trained = episode.trained_trajectory
    return {
        "kind": kind,
        "step": step,
        "set": set_name,
        "mode": mode,
        "problem_id": episode.problem.id,
        "problem_kind": episode.problem.kind,
        "rollout": episode.rollout,
        "prompt": prompt,
        "response": episode.text,
        "finish_reason": trained.finish_reason,
        "response_tokens": trained.policy_tokens,
        **({"turns": _turns(trained)} if trained.turns else {}),
        **({"others": _other_roles(episode)} if len(episode.trajectories) > 1 else {}),
        "reward_parts": episode.reward_parts,
        "verdicts": {name: verdict.to_dict() for name, verdict in episode.verdicts.items()},
        "reference": stored_reference(episode.problem.reference),
        **columns,
    }


def sample_fields(episode: Episode) -> dict[str, Any]:
    """Columns of an episode's row in samples.jsonl besides the text: those of the environment, its calls of tools,
    what critics in the reward said of it, its critique."""
    reviews = {"reviews": {name: asdict(review) for name, review in episode.reviews.items()}} if episode.reviews else {}
    if episode.tool_use is not None:
        calls = [
            {"tool": c.tool, "status": c.status, "turn": c.turn, "seconds": c.seconds} for c in episode.tool_use.calls
        ]
        return {**episode.sample_fields, "ended": episode.tool_use.ended, "calls": calls, **reviews}
    if episode.critique is None:
        return {**episode.sample_fields, **reviews} if reviews else episode.sample_fields
    critique, refinements = episode.critique.critique, episode.critique.refinements
    columns = {
        "judgement": critique.judgement and critique.judgement.value,
        "parse_status": critique.parse_status,
        "first_error": critique.first_error,
        "refinements": [{"text": r.text, "answer": r.answer, "correct": r.correct} for r in refinements],
    }
    return {**episode.sample_fields, "critique": columns}


def stored_reference(reference: dict[str, Any]) -> dict[str, Any]:
    """The reference as samples hold it: all of it, or its size alone where it is long. Tests of a program may be
    megabytes, and every response of a run would repeat them.
    """
    size = len(json.dumps(reference, default=str))
    return reference if size <= LONGEST_REFERENCE else {LEFT_OUT: f"{size:,} characters of JSON; see the data set"}


def with_columns(row: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """The row with the columns that an environment or a reward function of the user's adds.

    Raises TrainingError where one has the name of a column of the row, which would say something else from then on.
    """
    if not isinstance(fields, dict):
        raise TrainingError(f"Episode.sample_fields is {kind_of(fields)}; write a dict of columns")
    for name in fields:
        if not isinstance(name, str):
            raise TrainingError(
                f"Episode.sample_fields has the key {shown(name)}; a column of samples.jsonl needs a text"
            )
        if name in row:
            raise TrainingError(f"Episode.sample_fields has the key {name!r}, a column of samples.jsonl; rename it")
    return {**row, **fields}


def _turns(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Who said what, and in how many tokens."""
    return [
        {"role": turn.role, "text": turn.text, "tokens": turn.stop - turn.start, "by_policy": turn.by_policy}
        for turn in trajectory.turns
    ]


def _other_roles(episode: Episode) -> list[dict[str, Any]]:
    """What the roles wrote that are not trained."""
    return [
        {"role": t.role, "text": t.text, "finish_reason": t.finish_reason}
        for t in episode.trajectories
        if t is not episode.trained_trajectory
    ]
