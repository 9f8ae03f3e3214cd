"""Sampling with a transformers model in this process: the same weights that are being trained, no copy and no weight
sync.

Every pass takes the tokens of all rows as one packed row. Keys and values stay where they are (`cache`), so a token
costs its own computation and one look at what is before it. In the exact mode what a row gets does not depend on its
company, bit for bit: matrix products have numbers of rows for which they round alike (`rounding`), and the kernel
attends to each sequence by itself.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from reasonrl.engines.base import Generation, Request, Sampling
from reasonrl.engines.local.attention import cached_attention, computing
from reasonrl.engines.local.cache import BlockCache, CacheFull
from reasonrl.engines.local.rounding import row_multiple
from reasonrl.engines.local.rows import Kept, Row, Rows, alike
from reasonrl.engines.local.trial import attends_alike
from reasonrl.engines.sampling import draw_tokens
from reasonrl.errors import ModelError
from reasonrl.models.architecture import logits_are_heads, refuse_stateful
from reasonrl.models.loading import LanguageModel


class CachedEngine:
    """Continuous batching over a block cache. At most `rows_per_batch` rows are sampled at a time.

    Keys and values take at most `cache_gib`; where that is not enough for all rows, some are computed again.
    Raises ModelError for a model with a running state, and, with the first batch, for one whose attention cannot use
    the cache.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        *,
        rows_per_batch: int = 128,
        exact: bool = True,
        cache_gib: float = math.inf,
    ) -> None:
        refuse_stateful(language_model.model.config)
        self._lm = language_model
        self._rows_per_batch = rows_per_batch
        self._exact = exact
        self._eos = frozenset(language_model.eos_ids)
        self._plain_head: bool | None = None
        self._multiple = 0
        self._attends_alike: bool | None = None
        self._cache = BlockCache(cache_gib * 2**30)
        self._kept = Kept(self._cache)

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        """One generation for each request, in order."""
        for i, request in enumerate(requests):
            if not request.token_ids:
                raise ValueError(f"request {i} has an empty prompt")
        model = self._lm.model
        was_training = model.training
        model.eval()
        rows = Rows(self._cache, self._kept, requests, self._rows_per_batch)
        try:
            multiple, _ = self._row_multiple(), self._heads_give_logits()  # both try the model as it is
            self._check_attention()
            with torch.inference_mode(), cached_attention(self._causal.config.get_text_config()):
                return self._decode(requests, rows, multiple)
        except CacheFull:
            raise ModelError(
                f"the cache of hf_cached has {self._cache.most_bytes / 2**30:.3g} GiB, which does not hold one row of"
                " these requests. Give it more, or lower rollout.max_new_tokens"
            ) from None
        finally:
            rows.give_back()
            if not self._kept:
                self._cache.clear()
            model.train(was_training)

    def end_episode(self, episode: Hashable) -> None:
        self._kept.drop(episode)
        if not self._kept:
            self._cache.clear()

    def _decode(self, requests: Sequence[Request], rows: Rows, multiple: int) -> list[Generation]:
        results: dict[int, Generation] = {}
        while not rows.is_done:
            rows.admit()
            planned = rows.plan(multiple)
            if planned:
                step, tokens, ends = planned
                with computing(step):
                    states = self._states(tokens, step.position, list(ends))
                for (_, one), state in zip(ends.items(), states, strict=True):
                    one.state = state
            drawing = [row for row in rows.live if row.state is not None]
            if drawing:
                rows.end(list(self._draw(drawing, requests, results, multiple)))
        return [results[i] for i in range(len(requests))]

    def _draw(
        self, rows: list[Row], requests: Sequence[Request], results: dict[int, Generation], multiple: int
    ) -> list[Row]:
        """Draws a token for each row. Returns the rows that have ended, whose results are set."""
        ended = []
        for chosen in alike(rows, requests):
            states = torch.stack([row.state for row in chosen if row.state is not None])
            logits = self._head(states, multiple)
            noise = torch.tensor([row.noise[len(row.logprobs)] for row in chosen], dtype=torch.float64)
            drawn, logprobs = draw_tokens(logits, noise, requests[chosen[0].request].sampling)
            for row, token, logprob in zip(chosen, drawn.tolist(), logprobs.tolist(), strict=True):
                request = requests[row.request]
                row.tokens.append(token)
                row.logprobs.append(logprob)
                row.state = None
                response = row.tokens[len(request.token_ids) :]
                stopped = self._ends(response, request.sampling)
                if stopped or len(response) == request.sampling.max_new_tokens:
                    results[row.request] = Generation(response, row.logprobs, "stop" if stopped else "length")
                    ended.append(row)
        return ended

    def _states(self, tokens: list[int], position: Any, places: list[int]) -> Tensor:
        """What the head gets at some places of a packed row [places, H], or the logits there [places, V] where the
        model caps or scales them.
        """
        device = self._lm.device
        positions = torch.from_numpy(position).long()[None].to(device)
        ids = torch.tensor([tokens], device=device)
        wanted = torch.tensor(places, device=device, dtype=torch.long)
        if self._heads_give_logits():
            hidden = self._base(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state
            return hidden[0, wanted]
        few = (
            {"logits_to_keep": wanted} if "logits_to_keep" in inspect.signature(self._causal.forward).parameters else {}
        )
        logits = self._causal(input_ids=ids, position_ids=positions, use_cache=False, **few).logits[0]
        return logits if few else logits[wanted]

    def _head(self, states: Tensor, multiple: int) -> Tensor:
        if not self._heads_give_logits():
            return states
        count = len(states)
        if more := -count % multiple:
            states = torch.cat([states, states.new_zeros(more, states.shape[1])])
        return self._lm.model.get_output_embeddings()(states)[:count]  # type: ignore[no-any-return]

    def _row_multiple(self) -> int:
        if not self._exact or self._lm.device.type != "cpu":
            return 1
        if not self._multiple:
            multiple = row_multiple(self._lm.model)
            if multiple is None:
                warnings.warn(
                    "matrix products of this machine round differently in batches of other sizes, whatever their size:"
                    " what a row gets may depend on its company in the last bits",
                    stacklevel=2,
                )
            self._multiple = multiple or 1
        return self._multiple

    @property
    def _causal(self) -> Any:
        model = self._lm.model
        return model.get_base_model() if hasattr(model, "get_base_model") else model

    @property
    def _base(self) -> Any:
        return self._causal.base_model

    def _check_attention(self) -> None:
        """Raises ModelError for an architecture that does not compute the same through the cache."""
        if self._attends_alike is None:
            self._attends_alike = attends_alike(self._lm.model)
        if not self._attends_alike:
            raise ModelError(
                f"model.path: {type(self._causal).__name__} does not attend through the cache of rollout.engine:"
                " hf_cached. Write rollout.engine: hf"
            )

    def _heads_give_logits(self) -> bool:
        """Whether the logits are what the head makes of its input; Gemma 2, Granite and Cohere cap or scale them."""
        if self._plain_head is None:
            self._plain_head = logits_are_heads(self._lm.model, tolerance=1e-3)
        return self._plain_head

    def _ends(self, tokens: list[int], sampling: Sampling) -> bool:
        if tokens[-1] in self._eos and not sampling.ignore_eos:
            return True
        if not sampling.stop:
            return False
        # Only a tail that may hold the stop string is decoded: a token can stand for less than one character.
        tail = self._lm.tokenizer.decode(tokens[-(4 + 4 * max(len(s) for s in sampling.stop)) :])
        return any(stop in tail for stop in sampling.stop)
