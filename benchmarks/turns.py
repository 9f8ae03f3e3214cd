"""The second turn of 32 episodes behind 400 tokens, against its new tokens alone: what it costs that an episode's cache
stays between its turns. `make bench-engines` runs it.

An episode has a first turn that ends at 400 tokens; then 16 tokens of an environment and 48 of the policy. Alone are
the same 16 and 48 tokens with nothing before them. The same without kept episodes is a second turn whose 400 tokens are
computed again. Rounds alternate.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

from reasonrl.host.tuning import tune_for_computing

EPISODES, CONTEXT, HEARD, SAID = 32, 400, 16, 48


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, help="a model folder (default SmolLM2-135M-Instruct)")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    tune_for_computing()

    import torch

    from reasonrl.engines.base import Request, Sampling
    from reasonrl.engines.local.engine import CachedEngine
    from reasonrl.models.embedded import smollm2_folder
    from reasonrl.models.loading import load_model

    folder = str(arguments.model or smollm2_folder())
    model = load_model(folder, dtype=arguments.dtype, device="cpu", seed=0, offline=True)
    torch.set_num_threads(os.cpu_count() or 1)
    sampling = Sampling(SAID, ignore_eos=True)
    engine = CachedEngine(model, rows_per_batch=EPISODES, updates=lambda: 0)

    def run(prompts: list[list[int]], seed: int, *, are_episodes: bool) -> tuple[float, list[list[int]]]:
        requests = [
            Request(prompt, sampling, seed + i, ("episode", i) if are_episodes else None)
            for i, prompt in enumerate(prompts)
        ]
        begun = time.perf_counter()
        made = engine.generate_batch(requests)
        return time.perf_counter() - begun, [one.token_ids for one in made]

    seconds: dict[str, list[float]] = {"second turn": [], "its new tokens alone": [], "computed again": []}
    vocabulary = model.model.config.vocab_size
    for number in range(arguments.rounds + 1):
        source = torch.Generator().manual_seed(number)
        first = torch.randint(5, vocabulary, (EPISODES, CONTEXT - SAID), generator=source).tolist()
        heard = torch.randint(5, vocabulary, (EPISODES, HEARD), generator=source).tolist()
        _, said = run(first, 1000 * number, are_episodes=True)
        second = [a + b + c for a, b, c in zip(first, said, heard, strict=True)]
        taken, kept = run(second, 1000 * number + 100, are_episodes=True)
        for i in range(EPISODES):
            engine.end_episode(("episode", i))
        alone, _ = run(heard, 1000 * number + 100, are_episodes=False)
        again, computed = run(second, 1000 * number + 100, are_episodes=False)
        assert kept == computed, "a kept episode must draw what one that is computed again draws"
        if number:  # the first warms up
            for name, value in zip(seconds, (taken, alone, again), strict=True):
                seconds[name].append(value)
    title = f"{EPISODES} episodes, {HEARD} + {SAID} new tokens behind {CONTEXT}"
    print(f"{title}, {arguments.dtype}, {arguments.rounds} rounds")
    for name, values in seconds.items():
        ratios = [value / alone for value, alone in zip(values, seconds["its new tokens alone"], strict=True)]
        print(
            f"{name:22} {statistics.median(values):6.2f} s  {statistics.median(ratios):5.2f}"
            f" [{min(ratios):.2f}, {max(ratios):.2f}] times its new tokens alone"
        )


if __name__ == "__main__":
    main()
