"""Plain sampling with a transformers model in this process: the engine `hf_plain`, the reference of `hf`.

What is not computed twice: the tokens that all prompts begin with (few-shot examples) go through the model once for the
batch; a prompt once for its whole group; a finished row leaves the batch. Prompts of unequal length are padded on the
left of what they do not share.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from reasonrl.engines.base import Generation, Request, Sampling
from reasonrl.engines.endings import ends
from reasonrl.engines.sampling import draw_tokens, row_noise
from reasonrl.models.architecture import causal_of, logits_are_heads, refuse_stateful
from reasonrl.models.loading import LanguageModel
from reasonrl.models.prefix_tree import common_prefix

SHARE_FROM = 8
"""Fewest leading tokens for which a separate pass over the shared beginning pays."""
DROP_BELOW = 0.75
"""Finished rows are dropped when fewer than this share of the batch still runs: dropping copies the cache, so not at
every token.
"""


class PlainEngine:
    """Batched generation. `rows_per_batch` bounds the rows that are decoded together, and with them the memory of the
    KV cache.

    Raises ModelError for a model with a running state.
    """

    def __init__(self, language_model: LanguageModel, *, rows_per_batch: int = 128) -> None:
        refuse_stateful(language_model.model.config)
        self._lm = language_model
        self._rows_per_batch = rows_per_batch
        self._eos = frozenset(language_model.eos_ids)
        self._plain_head: bool | None = None

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        """One generation for each request, in order. Requests that differ in more than their length limits run in
        separate batches.
        """
        results: dict[int, Generation] = {}
        by_sampling: dict[Sampling, list[int]] = {}
        for i, request in enumerate(requests):
            if not request.token_ids:
                raise ValueError(f"request {i} has an empty prompt")
            by_sampling.setdefault(request.sampling.for_turn(0), []).append(i)
        was_training = self._lm.model.training
        self._lm.model.eval()
        try:
            with torch.inference_mode():
                for sampling, members in by_sampling.items():
                    # Neighbours of like length share a batch, so that little is padded; same prompts stay together.
                    members.sort(key=lambda i: (len(requests[i].token_ids), requests[i].token_ids, i))
                    for start in range(0, len(members), self._rows_per_batch):
                        batch = members[start : start + self._rows_per_batch]
                        results.update(zip(batch, self._decode([requests[i] for i in batch], sampling), strict=True))
        finally:
            self._lm.model.train(was_training)
        return [results[i] for i in range(len(requests))]

    def _decode(self, requests: list[Request], sampling: Sampling) -> list[Generation]:
        model, device = self._lm.model, self._lm.device
        prompts = sorted({tuple(r.token_ids) for r in requests})
        ordinal = {prompt: i for i, prompt in enumerate(prompts)}
        cache, hidden, mask = self._prefill(prompts)
        # From one row a prompt to one row a request.
        row_of = torch.tensor([ordinal[tuple(r.token_ids)] for r in requests], device=device)
        cache.batch_select_indices(row_of)
        hidden, mask = hidden[row_of], mask[row_of]
        position = torch.tensor([len(r.token_ids) for r in requests], device=device)
        limits = [r.sampling.max_new_tokens for r in requests]
        noise = row_noise([r.seed for r in requests], max(limits)).to(device)
        head = model.get_output_embeddings() if self._heads_give_logits() else torch.nn.Identity()
        running = list(range(len(requests)))
        ended = [False] * len(requests)
        done = [False] * len(requests)
        tokens: list[list[int]] = [[] for _ in requests]
        logprobs: list[list[float]] = [[] for _ in requests]
        for t in range(max(limits)):
            drawn, logprob = draw_tokens(head(hidden), noise[running, t], sampling)
            for row, token, value in zip(running, drawn.tolist(), logprob.tolist(), strict=True):
                if not done[row]:
                    tokens[row].append(token)
                    logprobs[row].append(value)
                    ended[row] = ends(tokens[row], sampling, self._eos, self._lm.tokenizer)
                    done[row] = ended[row] or t + 1 == limits[row]
            alive = [k for k, row in enumerate(running) if not done[row]]
            if not alive:
                break
            if len(alive) < DROP_BELOW * len(running):
                keep = torch.tensor(alive, device=device)
                cache.batch_select_indices(keep)
                mask, position, drawn = mask[keep], position[keep], drawn[keep]
                running = [running[k] for k in alive]
            mask = torch.cat([mask, mask.new_ones(len(running), 1)], 1)
            hidden = self._last_states(
                cache,
                input_ids=drawn[:, None],
                position_ids=position[:, None],
                attention_mask=mask,
            )
            position = position + 1
        return [Generation(tokens[i], logprobs[i], "stop" if ended[i] else "length") for i in range(len(requests))]

    def _prefill(self, prompts: list[tuple[int, ...]]) -> tuple[Any, Tensor, Tensor]:
        """Cache, last hidden state [P, H] and attention mask [P, L] of the unique prompts."""
        from transformers import DynamicCache

        device = self._lm.device
        # sorted: first and last differ most
        shared = min(common_prefix(prompts[0], prompts[-1]), min(len(p) for p in prompts) - 1)
        cache = DynamicCache(config=self._lm.model.config)
        if len(prompts) == 1 or shared < SHARE_FROM:
            shared = 0
        else:
            first = torch.tensor([prompts[0][:shared]], device=device)
            _with_cache(self._base, cache, input_ids=first)
            cache.batch_repeat_interleave(len(prompts))
        width = max(len(p) for p in prompts) - shared
        ids = torch.zeros((len(prompts), width), dtype=torch.long)
        mask = torch.ones((len(prompts), shared + width), dtype=torch.long)
        positions = torch.zeros((len(prompts), width), dtype=torch.long)
        for i, prompt in enumerate(prompts):
            suffix = prompt[shared:]
            pad = width - len(suffix)
            ids[i, pad:] = torch.tensor(suffix)
            mask[i, shared : shared + pad] = 0
            positions[i, pad:] = torch.arange(shared, len(prompt))
        mask = mask.to(device)
        hidden = self._last_states(
            cache,
            input_ids=ids.to(device),
            position_ids=positions.to(device),
            attention_mask=mask,
        )
        return cache, hidden, mask

    @property
    def _base(self) -> Any:
        return causal_of(self._lm.model).base_model

    def _last_states(self, cache: Any, **inputs: Any) -> Tensor:
        """What the head gets at the last place of each row [B, H], or the logits there [B, V] where the model caps or
        scales them.
        """
        if self._heads_give_logits():
            return _with_cache(self._base, cache, **inputs).last_hidden_state[:, -1]  # type: ignore[no-any-return]
        causal = causal_of(self._lm.model)
        few = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(causal.forward).parameters else {}
        return _with_cache(causal, cache, **inputs, **few).logits[:, -1]  # type: ignore[no-any-return]

    def _heads_give_logits(self) -> bool:
        """Whether the logits are what the head makes of its input; Gemma 2, Granite and Cohere cap or scale them."""
        if self._plain_head is None:
            self._plain_head = logits_are_heads(self._lm.model, tolerance=1e-3)
        return self._plain_head


def _with_cache(module: Any, cache: Any, **inputs: Any) -> Any:
    """One forward pass. transformers 5.24 calls the cache of most models `cache`, and warns of the name before it."""
    name = "cache" if "cache" in inspect.signature(module.forward).parameters else "past_key_values"
    return module(**inputs, use_cache=True, **{name: cache})
