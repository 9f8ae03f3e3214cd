"""Problems on their way to verl's agent loops, and episodes on their way back through TransferQueue.

An episode goes as JSON beside its tokens: what it said, its verdicts and reward parts. Tokens, masks and log-probs are
read back from verl's own fields, since those are what verl trains on.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch.utils.data import Dataset

from reasonrl.environments.base import CallRecord, Episode, Review, ToolEpisode, Trajectory, Turn
from reasonrl.runs.row_text import row_text
from reasonrl.update.samples import sample_fields
from reasonrl.verl_backend.stage import verl_stage
from verifiers.types import Problem, Status, Verdict

AGENT = "reasonrl"
FIELD = "reasonrl"
"""Of a row's extra fields: the episode, or why there is none."""


def problem_row(problem: Problem, index: int) -> dict[str, Any]:
    """One prompt as verl's data loader would give it. `problem` is what our agent loop reads; the others are what verl
    itself asks for.
    """
    prompt = problem.prompt
    return {
        "raw_prompt": [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt),
        "problem": json.dumps(asdict(problem), ensure_ascii=False),
        "data_source": problem.source or problem.kind,
        "reward_model": {"style": "rule", "ground_truth": json.dumps(problem.reference, ensure_ascii=False)},
        "extra_info": {"index": index, "kind": problem.kind},
        "index": index,
        "agent_name": AGENT,
        "dummy_tensor": torch.zeros(1, dtype=torch.uint8),
    }


class ProblemDataset(Dataset):  # type: ignore[type-arg]
    """`data.custom_cls`: the problems that the launcher wrote. `data_files` names the set."""

    def __init__(
        self, data_files: Any, tokenizer: Any, config: Any, processor: Any = None, max_samples: int = -1
    ) -> None:
        name = data_files if isinstance(data_files, str) else next(iter(data_files))
        self._problems = verl_stage().problems(name)

    def __len__(self) -> int:
        return len(self._problems)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return problem_row(self._problems[index], index)


def pack_episode(episode: Episode, reward: float | None) -> str:
    """What the tokens do not say of an episode, in ASCII: half a surrogate pair has no other bytes."""
    trained = episode.trained_trajectory
    return json.dumps(
        {
            "rollout": episode.rollout,
            "seed": episode.seed,
            "reward": reward,
            "role": trained.role,
            "text": trained.text,
            "finish_reason": trained.finish_reason,
            "turns": [asdict(turn) for turn in trained.turns],
            "verdicts": {name: json.loads(row_text(verdict.to_dict())) for name, verdict in episode.verdicts.items()},
            "reward_parts": episode.reward_parts,
            "reviews": {name: json.loads(row_text(asdict(review))) for name, review in episode.reviews.items()},
            "sample_fields": json.loads(row_text(sample_fields(dataclasses.replace(episode, reviews={})))),
            "failure": episode.failure,
            "tool_use": None if episode.tool_use is None else asdict(episode.tool_use),
            "info": {key: value for key, value in episode.info.items() if _is_plain(value)},
            "others": [[t.role, t.text, t.finish_reason] for t in episode.trajectories if t is not trained],
        }
    )


def unpack_episode(packed: str, problem: Problem, row: Mapping[str, Sequence[Any]]) -> Episode:
    """The episode of a row of verl: `row` holds its `prompts`, `responses`, `response_mask` and `rollout_log_probs`,
    not padded.
    """
    fields = json.loads(packed)
    others = [Trajectory(role, [], [], [], [], text, why) for role, text, why in fields["others"]]
    trained = Trajectory(
        role=fields["role"],
        prompt_ids=list(row["prompts"]),
        response_ids=list(row["responses"]),
        loss_mask=[bool(m) for m in row["response_mask"]],
        logprobs=list(row["rollout_log_probs"]),
        text=fields["text"],
        finish_reason=fields["finish_reason"],
        turns=tuple(Turn(**turn) for turn in fields["turns"]),
    )
    return Episode(
        problem,
        fields["rollout"],
        fields["seed"],
        [*others, trained],
        {name: Verdict(**value | {"status": Status(value["status"])}) for name, value in fields["verdicts"].items()},
        fields["reward_parts"],
        failure=fields["failure"],
        tool_use=_tool_episode(fields["tool_use"]),
        reviews={name: Review(**review) for name, review in fields["reviews"].items()},
        sample_fields=fields["sample_fields"],
        info=fields["info"],
    )


def _tool_episode(fields: dict[str, Any] | None) -> ToolEpisode | None:
    if fields is None:
        return None
    return ToolEpisode(fields["ended"], tuple(CallRecord(**call) for call in fields["calls"]))


def pack_failure(error: BaseException, *, stops: bool) -> str:
    """An episode that could not be played: the row is masked and counted, never scored; `stops`: a fault that must end
    the run.
    """
    return json.dumps({"failure": f"{type(error).__name__}: {error}", "stops": stops})


def failure_of(packed: str) -> tuple[str, bool] | None:
    """Why a row has no episode, and whether that is a fault that must stop the run."""
    fields = json.loads(packed)
    return (fields["failure"], fields["stops"]) if "stops" in fields else None


def _is_plain(value: Any) -> bool:
    """Whether JSON gives it back as it was."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, str | int | float | bool | None)


def bare_prompts(prompts: Sequence[Sequence[int]], end: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows and tags for TransferQueue of prompts that were only just asked: the response is the `end` token alone."""
    one = torch.ones(1, dtype=torch.int64)
    rows: list[dict[str, Any]] = []
    for ids in prompts:
        tokens = torch.tensor([*ids, end])
        rows.append(
            {
                "prompts": torch.tensor(ids),
                "responses": torch.tensor([end]),
                "input_ids": tokens,
                "response_mask": one,
                "loss_mask": one,
                "position_ids": torch.arange(len(tokens)),
                "multi_modal_inputs": {},
            }
        )
    tags = [
        {"status": "success", "seq_len": len(ids) + 1, "prompt_len": len(ids), "response_len": 1} for ids in prompts
    ]
    return rows, tags
