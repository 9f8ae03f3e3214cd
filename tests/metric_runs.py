"""Recipes of tiny runs that together write every metric of the local trainer. `engine_settings` is laid over
`rollout`, for other engines.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reasonrl.data.step_arithmetic import step_arithmetic
from reasonrl.data.step_sums import worked
from reasonrl.engines.base import Generation, Request
from tests.tiny_runs import merged, tiny

FORMAT = {"name": "step_sentence", "instruction": "Check.", "refine_instruction": "Again."}
TINY_CRITIC: dict[str, Any] = {
    "seed": 1,
    "threads": 1,
    "device": "cpu",
    "model": {"path": "tiny-critic"},
    "verifier": {"name": "math", "mode": "lenient"},
    "rollout": {"rollouts_per_prompt": 4, "max_new_tokens": 48},
    "train": {"steps": 1, "prompts_per_step": 4},
    "optim": {"lr": 1e-4},
}


def all_methods(engine_settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """Knapsack, PCL, TEMPO, unlikeliness, overlong, mismatch correction, KL and entropy terms, refill."""
    return tiny(
        name="methods",
        curriculum="pcl",
        budget={"name": "knapsack", "low": 2, "high": 12},
        success_rates={"min_count": 2},
        rollout=engine_settings or {},
        train={
            "steps": 3,
            "credit": "tempo",
            "unlikeliness": {"beta": 0.25},
            "overlong": {"buffer_tokens": 3},
            "mismatch": {"name": "tis", "cap": 2.0},
            "kl": {"coefficient": 0.01, "where": "loss"},
            "entropy_coefficient": 0.001,
            "refill": {"enabled": True, "max_rounds": 2},
        },
        evaluation={"samples_per_problem": 2},
    )


def critique_grpo(engine_settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """An untrained policy, whose wrong responses are refined."""
    changes = {
        "name": "critique-grpo",
        "data": {"train": {"source": "step_arithmetic", "options": {"size": 12, "terms": 2}}},
        "rollout": {"max_new_tokens": 4, **(engine_settings or {})},
        "train": {"advantage": "dr_grpo"},
        "critique_grpo": {"trigger": "all_wrong", "refinements_kept": 2},
    }
    return merged(TINY_CRITIC, changes)


def reviewed(engine_settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """An untrained policy that judges its own responses beside the verifier."""
    critic = {"model": "same", "format": FORMAT, "max_new_tokens": 8}
    changes = {
        "name": "reviewed",
        "data": {"train": {"source": "step_arithmetic", "options": {"size": 12, "terms": 2}}},
        "rollout": {"max_new_tokens": 4, **(engine_settings or {})},
        "reward": {"correctness": 1.0, "process": {"weight": 0.3, "critic": critic}},
    }
    return merged(TINY_CRITIC, changes)


def tools(engine_settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """An untrained policy that calls a calculator or Python in half of its turns: letters and digits end a turn."""
    sums = {"operations": "+", "terms": 2, "size": 8}
    changes = {
        "name": "tools",
        "model": {"attention": "eager"},
        "data": {
            "train": {"source": "arithmetic", "options": sums},
            "heldout": {"sums": {"source": "arithmetic", "options": {**sums, "split": "test"}}},
            "prompt": {"style": "chat", "template": "{question} ="},
        },
        "rollout": {
            "environment": {
                "name": "tool_use",
                "tools": ["calculator", {"name": "python", "stateful": True}],
                "format": {"name": "tests.environments.tools.every_turn_calls:EveryTurnCalls", "answers": True},
                "max_turns": 3,
                "result_tokens": 40,
            },
            "max_new_tokens": 60,
            "max_response_tokens": 300,
            "stop": list("abcdefghijklmnopqrstuvwxyz0123456789"),
            **(engine_settings or {}),
        },
        "evaluation": {"greedy": True, "samples_per_problem": 2},
    }
    return merged(TINY_CRITIC, changes)


def supervised(engine_settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """A `kind: sft` stage."""
    sft = {"kind": "sft", "sft": {"steps": 1, "rows_per_step": 4, "response": " {gold}\n"}}
    return tiny(name="supervised", rollout=engine_settings or {}, **sft)


def critic(folder: Path, engine: str = "tests.metric_runs:CriticAndActor") -> dict[str, Any]:
    """A critic of step-labelled solutions whose critiques are refined on by the same model, trained and held out."""
    train, heldout = (critique_problems(folder / f"{name}.jsonl", name) for name in ("train", "test"))
    changes = {
        "name": "critic",
        "data": {"train": {"source": str(train)}, "heldout": {"steps": {"source": str(heldout)}}},
        "rollout": {"engine": engine},
        "critic": {
            "format": FORMAT,
            "phase": 2,
            "refine": {"refinements": 1, "actor": {"model": "same", "max_new_tokens": 40}},
        },
        "evaluation": {"samples_per_problem": 2},
    }
    return merged(TINY_CRITIC, changes)


def offline(folder: Path) -> dict[str, Any]:
    """A `kind: offline` stage with replayed demonstrations."""
    problems = step_arithmetic({"size": 8, "terms": 2})
    file = folder / "offline.jsonl"
    write_problems(
        file,
        [
            {
                "id": problem.id,
                "kind": "offline",
                "prompt": problem.prompt,
                "reference": {"response": "1 + 1 = 2", "reward": 1.0 if number % 2 else -1.0},
            }
            for number, problem in enumerate(problems)
        ],
    )
    replay = {"source": "step_arithmetic", "options": {"size": 8, "terms": 2, "tasks": {"solve": 1}}}
    changes = {
        "name": "offline",
        "kind": "offline",
        "data": {"train": {"source": str(file)}, "replay": [replay]},
        "offline": {"steps": 1, "rows_per_step": 4, "replay_rows_per_step": 2},
    }
    return merged(TINY_CRITIC, changes)


def critique_problems(file: Path, split: str) -> Path:
    """Problems of kind "critique": every second solution has a wrong first step."""
    problems = step_arithmetic({"size": 8, "terms": 3, "low": 1, "high": 5, "split": split})
    lines = []
    for number, problem in enumerate(problems):
        question = problem.meta["question"]
        steps, wrong = worked(question), number % 2 == 1
        if wrong:
            steps = [f"{steps[0]}0", *steps[1:]]
        lines.append(
            {
                "id": problem.id,
                "kind": "critique",
                "prompt": [{"role": "user", "content": question}],
                "reference": {
                    "answer": problem.reference["answer"],
                    "solution": "\n".join(steps),
                    "steps": steps,
                    "correct": not wrong,
                    "first_error": 0 if wrong else -1,
                },
                "meta": {"question": question},
            }
        )
    return write_problems(file, lines)


def write_problems(file: Path, lines: Sequence[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


class CriticAndActor:
    """Calls solutions right, wrong in their first step, or writes what cannot be read; refines by guessing. A fake."""

    def __init__(self, language_model: Any, rows_per_batch: int) -> None:
        self.tokenizer = language_model.tokenizer

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        generations = []
        for request in requests:
            prompt = self.tokenizer.decode(list(request.token_ids))
            text = self._refinement(request.seed) if "Again." in prompt else self._critique(prompt, request.seed)
            ids = [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]
            generations.append(Generation(ids, [-0.5] * len(ids), "stop"))
        return generations

    def _critique(self, prompt: str, seed: int) -> str:
        steps = prompt.partition("<solution>\n")[2].partition("\n</solution>")[0].split("\n")
        verdict = random.Random(seed).choice(["Correct", "Wrong", "unread"])
        if verdict == "unread":
            return "Explanation: 1"
        named = steps if verdict == "Correct" else steps[:1]
        sentences = [f"Step sentence: {step}\nCorrectness of the step: {verdict}" for step in named]
        return "\n".join([*sentences, f"Correctness of the final answer: {verdict}"])

    def _refinement(self, seed: int) -> str:
        return f"1 + 1 = {random.Random(seed).randrange(2, 12)}"
