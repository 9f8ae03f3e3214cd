"""What samples.jsonl keeps of the rollouts of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from reasonrl.environments.base import Episode
from reasonrl.environments.single_turn import render_prompt_text
from reasonrl.update.rollouts import Collected


def train_samples(
    collected: Collected,
    of_rows: Tensor,
    of_tokens: Tensor,
    *,
    step: int,
    tokenizer: Any,
    credited: bool,
    fields: Callable[[Episode], dict[str, Any]],
) -> list[dict[str, Any]]:
    """One row an episode, with the advantages [B] and [B, T] that it was given; `fields` adds what a method knows of
    it.

    Advantages of single tokens are kept only where they differ (`credited`).
    """
    kept = []
    everything = zip(
        collected.episodes, collected.rewards, collected.groups, of_rows.tolist(), of_tokens.tolist(), strict=True
    )
    for episode, reward, group, advantage, credit in everything:
        own = episode.own
        more: dict[str, Any] = {
            **fields(episode),
            "group": group,
            "response_ids": own.response_ids,
            "logprobs": [round(p, 6) for p in own.logprobs],
        }
        if episode.info.get("off_policy"):
            more |= {"off_policy": True, "critique_text": episode.info["critique"]}
        if credited:
            more["token_advantages"] = [round(value, 6) for value in credit[: len(own.response_ids)]]
        prompt = render_prompt_text(tokenizer, episode.problem)
        kept.append(
            sample_row(
                episode,
                kind="train",
                step=step,
                mode="train",
                prompt=prompt,
                reward=reward,
                advantage=advantage,
                **more,
            )
        )
    return kept


def sample_row(
    episode: Episode, *, kind: str, step: int, mode: str, prompt: str, set_name: str | None = None, **more: Any
) -> dict[str, Any]:
    """What samples.jsonl keeps of an episode: enough to read it, to judge it again, and to compute its advantage
    again.
    """
    last = episode.own
    return {
        "kind": kind,
        "step": step,
        "set": set_name,
        "mode": mode,
        "problem_id": episode.problem.id,
        "rollout": episode.rollout,
        "prompt": prompt,
        "response": episode.text,
        "finish_reason": last.finish_reason,
        "response_tokens": len(last.response_ids),
        **({"others": _others(episode)} if len(episode.trajectories) > 1 else {}),
        "reward_parts": episode.reward_parts,
        "verdicts": {name: verdict.to_dict() for name, verdict in episode.verdicts.items()},
        "reference": episode.problem.reference,
        **more,
    }


def _others(episode: Episode) -> list[dict[str, Any]]:
    """What the roles said that are not trained."""
    return [
        {"role": t.role, "text": t.text, "finish_reason": t.finish_reason}
        for t in episode.trajectories
        if t is not episode.own
    ]
