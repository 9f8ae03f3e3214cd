"""Sampling with a transformers model in this process: the same weights that are being trained, no copy and no weight
sync.

Every pass takes the tokens of all rows as one packed row. Keys and values stay where they are (`cache`), so a token
costs its own computation and one look at what is before it. In the exact mode what a row gets does not depend on its
company, bit for bit: matrix products have numbers of rows for which they round alike (`rounding`), and the kernel
attends to each sequence by itself.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import os
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from reasonrl.engines.base import Generation, Request, Sampling
from reasonrl.engines.endings import ends
from reasonrl.engines.local.attention import Pass, cached_attention, computing
from reasonrl.engines.local.cache import BlockCache, CacheFull
from reasonrl.engines.local.decoder import MODEL_TYPES, Decoder, Unsuitable, decodes_alike, weights_now
from reasonrl.engines.local.drawing import draw
from reasonrl.engines.local.kernel import layers_for
from reasonrl.engines.local.linear import packing_dtype
from reasonrl.engines.local.rounding import has_experts, linear_products, packed_products, row_multiple
from reasonrl.engines.local.rows import Drawn, Rows, alike
from reasonrl.engines.local.sequences import Kept, Response, Row
from reasonrl.engines.local.trial import attends_alike
from reasonrl.errors import ModelError
from reasonrl.models.architecture import causal_of, logits_are_heads, most_positions, refuse_stateful, steady_positions
from reasonrl.models.cache_size import BLOCK, block_bytes
from reasonrl.models.loading import LanguageModel


class CachedEngine:
    """Continuous batching over a block cache. At most `rows_per_batch` rows are sampled at a time.

    Keys and values take at most `cache_gib`; where that is not enough for all rows, some are computed again.
    `updates` counts the changes of the weights: their copy stays until the count changes or `sleep` is called; without
    it they are laid out anew for every call. Raises ModelError for a model with a running state, and for one whose
    attention cannot use the cache.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        *,
        rows_per_batch: int = 128,
        exact: bool = True,
        cache_gib: float = math.inf,
        updates: Callable[[], int] | None = None,
    ) -> None:
        refuse_stateful(language_model.model.config)
        self._lm = language_model
        self._rows_per_batch = rows_per_batch
        self._exact = exact
        self._eos = frozenset(language_model.eos_ids)
        self._plain_head: bool | None = None
        self._multiple = 0
        self._attends_alike: bool | None = None
        self._updates = updates
        self._decoder: Decoder | None = None
        self._copied: tuple[Any, ...] = ()
        """What the weights were when the decoder was made."""
        self._is_decoding = False
        self._has_decoder: bool | None = None
        """None: not tried yet."""
        self._computed_with: tuple[Any, ...] = ()
        """What the weights were when keys and values were last computed."""
        self._steady = steady_positions(language_model.model.config)
        is_decoded = self._causal.config.get_text_config().model_type in MODEL_TYPES
        dtype = language_model.model.dtype
        if is_decoded and language_model.device.type == "cpu":
            dtype = packing_dtype(dtype) or dtype
        block = block_bytes(language_model.model.config, str(dtype).removeprefix("torch."))
        self._cache_bytes = cache_gib * 2**30
        self._cache = BlockCache(self._cache_bytes, block)
        self._kept = Kept(self._cache, memory_for_cache(language_model.device))
        if not is_decoded or language_model.device.type != "cpu":
            self._check_attention()

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        """One generation for each request, in order."""
        for i, request in enumerate(requests):
            try:
                self.check(request)
            except ValueError as error:
                raise ValueError(f"request {i}: {error}") from None
        self._expect(requests)
        rows = self.new_rows()
        for i in sorted(range(len(requests)), key=lambda i: (tuple(requests[i].token_ids), i)):
            rows.add(i, requests[i])
        results: dict[int, Generation] = {}
        try:
            with self.decoding():
                while not rows.is_done:
                    results |= self.decode(rows)
        finally:
            rows.give_back()
            self.give_memory_back()
        return [results[i] for i in range(len(requests))]

    # ---------------------------------------------------------------- pass by pass, as a server wants it

    def check(self, request: Request) -> None:
        """Raises ValueError for a request that cannot be computed, TypeError for an episode that cannot be a key."""
        vocabulary = self._causal.config.get_text_config().vocab_size
        if not request.token_ids:
            raise ValueError("the prompt is empty")
        if not 0 <= min(request.token_ids) <= max(request.token_ids) < vocabulary:
            raise ValueError(f"the prompt has tokens outside of 0 to {vocabulary - 1}")
        request.sampling.check()
        tokens = len(request.token_ids) + request.sampling.max_new_tokens
        if self._steady is not None and tokens > self._steady:
            raise ValueError(
                f"{len(request.token_ids)} tokens of the prompt and {request.sampling.max_new_tokens} new ones exceed"
                f" the {self._steady} tokens up to which LongRoPE turns the keys of all rows alike"
            )
        if not 0 <= request.seed < 2**128:
            raise ValueError(f"the seed is {request.seed}; write one from 0 to 2**128 - 1")
        hash(request.episode)

    def new_rows(self) -> Rows:
        """Raises ModelError where the cache does not hold one row."""
        if self._lm.device.type != "cpu":  # where memory that is not there is an error, not slow
            has = self._cache.capacity * self._cache.block_bytes
            self._cache.most_bytes = min(self._cache_bytes, has + memory_for_cache(self._lm.device))
        try:
            return Rows(self._cache, self._kept, self._rows_per_batch)
        except CacheFull:
            raise self._too_small() from None

    @contextlib.contextmanager
    def decoding(self) -> Iterator[None]:
        """The model is ready for `decode` until the block is left."""
        model = self._lm.model
        was_training = model.training
        model.eval()
        self._is_decoding = True
        try:
            self._forget_old_weights()
            assert self._cache.scratch >= 0  # taken while there is room
            self._copy_weights()
            self._row_multiple(), self._heads_give_logits()  # both try the model as it is
            with torch.inference_mode(), self._attending():
                yield
        finally:
            self._is_decoding = False
            model.train(was_training)

    def decode(self, rows: Rows) -> dict[int, Generation]:
        """One pass. Returns the requests that ended with it, by number. Raises ModelError where the cache does not hold
        one row.
        """
        try:
            return self._decode(rows, self._row_multiple())
        except CacheFull:
            raise self._too_small() from None

    def _too_small(self) -> ModelError:
        return ModelError(
            f"rollout.cache_gib: {self._cache.most_bytes / 2**30:.3g} GiB does not hold one row of these requests."
            " Write more, or lower rollout.max_new_tokens"
        )

    def fits(self, request: Request) -> bool:
        """Whether the cache can hold this request alone."""
        blocks = -(-(len(request.token_ids) + request.sampling.max_new_tokens) // BLOCK) + 1
        return blocks <= self._cache.most_blocks

    @property
    def positions(self) -> int | None:
        """How many tokens a row may have."""
        return most_positions(self._lm.model.config)

    def _expect(self, requests: Sequence[Request]) -> None:
        """Room for the longest rows that may run at a time, where there is memory for it. Episodes may come back with a
        turn as long: to make room for it then would copy what they have.
        """
        if not self._cache.block_bytes:
            return
        lengths = sorted((len(r.token_ids) + r.sampling.max_new_tokens for r in requests), reverse=True)
        blocks = sum(-(-length // BLOCK) + 1 for length in lengths[: self._rows_per_batch]) + 1
        if any(request.episode is not None for request in requests):
            blocks *= 2
        most = memory_for_cache(self._lm.device) // self._cache.block_bytes
        self._cache.expected = self._cache.blocks_in_use + min(blocks, most)

    def end_episode(self, episode: Hashable) -> None:
        self._kept.drop(episode)
        self.give_memory_back()

    def sleep(self) -> None:
        """Gives the memory of the copied weights to the trainer."""
        self._decoder = None

    def give_memory_back(self) -> None:
        """Where no row is decoded and no episode waits for its next turn."""
        if not self._kept and not self._is_decoding:
            self._cache.clear()
            if self._updates is None:
                self._decoder = None

    def _forget_old_weights(self) -> None:
        """What episodes keep was computed with the weights of then."""
        state = (self._updates() if self._updates else 0, weights_now(self._lm.model))
        if state != self._computed_with:
            self._kept.drop_all()
            self._computed_with = state

    def _copy_weights(self) -> None:
        """Makes the decoder, where the model can have one, from the weights as they are now."""
        if self._has_decoder is False:
            return
        state = (self._updates(), weights_now(self._lm.model)) if self._updates else ()
        if self._decoder is not None and state and state == self._copied:
            return
        self._decoder = None  # its memory serves the next
        try:
            decoder = Decoder(self._lm.model)
        except Unsuitable as reason:
            self._has_decoder = False
            if reason.args:
                warnings.warn(f"rollout.engine: hf: {reason}: rollouts will take longer", stacklevel=2)
            return
        if self._has_decoder is None:
            self._has_decoder = decodes_alike(decoder, self._lm.model)
            if not self._has_decoder:
                warnings.warn(
                    f"rollout.engine: hf: its own layers compute something else than this {type(self._causal).__name__}"
                    " does; rollouts go through the model's modules, which takes longer and is right",
                    stacklevel=2,
                )
        if self._has_decoder:
            self._decoder, self._copied = decoder, state

    def _attending(self) -> contextlib.AbstractContextManager[None]:
        if self._decoder is not None:
            return contextlib.nullcontext()
        self._check_attention()
        return cached_attention(self._causal.config.get_text_config())

    def _decode(self, rows: Rows, multiple: int) -> dict[int, Generation]:
        rows.admit()
        planned = rows.plan(multiple)
        if planned:
            states = self._states(planned.tokens, planned.step, list(planned.ends))
            for one, state in zip(planned.ends.values(), states, strict=True):
                one.state = state
        results: dict[int, Generation] = {}
        drawn: dict[int, tuple[Row, list[Drawn]]] = {}
        ready = [(row, response) for row in rows.live if row.state is not None for response in row.responses]
        for sampling, some in alike(ready, rows.requests):
            for (row, response), token, logprob in zip(some, *self._draw(some, sampling, multiple), strict=True):
                response.logprobs.append(logprob)
                generation = self._end_of(row, response, token, rows.requests[response.request])
                if generation is not None:
                    results[response.request] = generation
                drawn.setdefault(id(row), (row, []))[1].append((response, token, generation is not None))
        rows.advance(list(drawn.values()))
        return results

    def _draw(
        self, pairs: Sequence[tuple[Row, Response]], sampling: Sampling, multiple: int
    ) -> tuple[list[int], list[float]]:
        """A token for each response, and its log-prob."""
        states = {id(row): row.state for row, _ in pairs if row.state is not None}
        logits = self._head(torch.stack(list(states.values())), multiple)
        if len(states) < len(pairs):
            place = {row: i for i, row in enumerate(states)}
            logits = logits[torch.tensor([place[id(row)] for row, _ in pairs], device=logits.device)]
        noise = torch.tensor([one.noise[len(one.logprobs)] for _, one in pairs], dtype=torch.float64)
        return draw(logits, noise, sampling)

    def _end_of(self, row: Row, response: Response, token: int, request: Request) -> Generation | None:
        """The result, if the response ends with this token."""
        tokens = [*row.tokens[len(request.token_ids) :], token]
        stopped = ends(tokens, request.sampling, self._eos, self._lm.tokenizer)
        if not stopped and len(tokens) < request.sampling.max_new_tokens:
            return None
        return Generation(tokens, response.logprobs, "stop" if stopped else "length")

    def _states(self, tokens: list[int], step: Pass, places: list[int]) -> Tensor:
        """What the head gets at some places of a packed row [places, H], or the logits there [places, V] where the
        model caps or scales them.
        """
        if self._decoder is not None:
            return self._decoder.states(tokens, step, places)
        with computing(step):
            return self._states_of_modules(tokens, step, places)

    def _states_of_modules(self, tokens: list[int], step: Pass, places: list[int]) -> Tensor:
        device = self._lm.device
        positions = torch.from_numpy(step.position).long()[None].to(device)
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
        head = self._lm.model.get_output_embeddings() if self._decoder is None else self._decoder.head
        return head(states)[:count]  # type: ignore[no-any-return]

    def _row_multiple(self) -> int:
        if not self._exact or self._lm.device.type != "cpu":
            return 1
        if not self._multiple:
            decoder = self._decoder
            multiple = row_multiple(packed_products(decoder.products) if decoder else linear_products(self._lm.model))
            if why := self._why_inexact(multiple):
                warnings.warn(f"{why}: what a row gets may depend on its company in the last bits", stacklevel=2)
            self._multiple = multiple or 1
        return self._multiple

    def _why_inexact(self, multiple: int | None) -> str:
        if self._decoder is None and has_experts(self._lm.model):
            return "each expert of this model computes as many rows at once as are sent to it"
        if multiple is None:
            return "matrix products of this machine round differently in batches of other sizes, whatever their size"
        if layers_for(torch.float32) is None:
            return "there is no C compiler for the attention (`reasonrl doctor` says more)"
        return ""

    @property
    def _causal(self) -> Any:
        return causal_of(self._lm.model)

    @property
    def _base(self) -> Any:
        return self._causal.base_model

    def _check_attention(self) -> None:
        """Raises ModelError for an architecture that does not compute the same through the cache."""
        model = self._lm.model
        if self._attends_alike is None:
            was_training = model.training
            self._attends_alike = attends_alike(model.eval())
            model.train(was_training)
        if not self._attends_alike:
            raise ModelError(
                f"model.path: {type(self._causal).__name__} does not attend through the cache of rollout.engine:"
                " hf. Write rollout.engine: hf_plain"
            )

    def _heads_give_logits(self) -> bool:
        """Whether the logits are what the head makes of its input; Gemma 2, Granite and Cohere cap or scale them."""
        if self._plain_head is None:
            self._plain_head = logits_are_heads(self._lm.model, tolerance=1e-3)
        return self._plain_head


def memory_for_cache(device: torch.device) -> int:
    """Bytes: on a CPU a quarter of all memory, on a GPU four fifths of what is free."""
    if device.type == "cpu":
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    free, _ = torch.cuda.mem_get_info(device)
    lent = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch's own, and unused
    return (free + lent) * 4 // 5
