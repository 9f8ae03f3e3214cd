"""Our verifiers for verl recipes that are not ours: `reward.reward_manager.name=reasonrl` and a verifier by its name.

    reward.reward_manager.name=reasonrl +reward.reward_kwargs.verifier=math

The reference is read from reward_model.ground_truth: JSON as our own rows have it, or a plain answer. Hanging work is
killed by the pool. verl has no place for "could not be judged", so such a row gets the score 0 and `judged: 0` beside
it; our own trainer masks it instead.
"""

from __future__ import annotations

import asyncio
import functools
import json
from typing import Any

from verl.experimental.reward_loop.reward_manager import register
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from reasonrl.errors import RecipeError
from reasonrl.models.special_tokens import opened_thought, visible_text
from reasonrl.rewards.guarded import GuardedVerifier
from reasonrl.user_code.guards import call_user_code
from verifiers.loading import load_verifier


@register("reasonrl")
class ReasonrlRewardManager(RewardManagerBase):
    def __init__(self, config: Any, tokenizer: Any, compute_score: Any = None, **_: Any) -> None:
        super().__init__(config, tokenizer, compute_score)
        options = dict(config.reward.get("reward_kwargs", {}) or {})
        name = options.pop("verifier", "math")
        subject = f"reward.reward_kwargs.verifier: {name}"
        make = functools.partial(load_verifier, name, **options)
        verifier = call_user_code(subject, make, error_class=RecipeError, passes=(ValueError,))
        self._verifier = GuardedVerifier(verifier, subject) if ":" in name else verifier

    async def run_single(self, data: Any) -> dict[str, Any]:
        item = data[-1:][0]
        responses, mask = item.batch["responses"], item.batch["attention_mask"]
        response_ids = responses[: int(mask[-responses.shape[-1] :].sum())].tolist()
        prompts = item.batch.get("prompts", responses[:0])
        prompt_ids = prompts[mask[: prompts.shape[-1]].bool()].tolist()
        ended = bool(response_ids) and len(response_ids) < responses.shape[-1]
        text = opened_thought(self.tokenizer, prompt_ids) + visible_text(self.tokenizer, response_ids, ended=ended)
        reference = read_reference(item.non_tensor_batch["reward_model"]["ground_truth"])
        (verdict,) = await asyncio.to_thread(self._verifier.verify, [text], [reference])
        extra_info = {
            "acc": float(verdict.correct is True),
            "judged": float(verdict.correct is not None),
            "reason": verdict.reason,
        }
        return {"reward_score": verdict.score or 0.0, "reward_extra_info": extra_info}


def read_reference(ground_truth: Any) -> dict[str, Any]:
    """A reference of ours from JSON, or {"answer": ...} from anything else."""
    if isinstance(ground_truth, dict):
        return ground_truth
    try:
        reference = json.loads(str(ground_truth))
    except json.JSONDecodeError:
        return {"answer": str(ground_truth)}
    return reference if isinstance(reference, dict) else {"answer": str(ground_truth)}
