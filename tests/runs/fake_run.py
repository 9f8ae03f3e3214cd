"""Fake run folders for tests: made-up numbers in the true shape, so that readers can be tested without training
anything.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

from reasonrl.runs.accuracy import accuracy_of


def fake_verdict(correct: bool | None, extracted: str | None = "12", status: str | None = None) -> dict[str, Any]:
    status = status or "judged"
    judged = status in ("judged", "unparsed")
    correct = bool(correct) and status == "judged"
    reasons = {
        "judged": f"{extracted} is the answer" if correct else f"{extracted} is not the answer",
        "unparsed": "no number in the response",
        "timeout": "no verdict in 2 s",
    }
    return {
        "correct": correct if judged else None,
        "score": float(correct) if judged else None,
        "status": status,
        "extracted": extracted if status == "judged" else None,
        "method": "rational" if status == "judged" else "none",
        "reason": reasons.get(status, "the worker crashed"),
        "seconds": 0.001,
    }


def fake_sample(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "kind": "train",
        "step": 1,
        "set": None,
        "mode": "train",
        "problem_id": "train/1",
        "rollout": 0,
        "prompt": "Q: 7 + 5\nA:",
        "response": " 12",
        "finish_reason": "stop",
        "response_tokens": 2,
        "reward": 1.0,
        "reward_parts": {"correctness": 1.0},
        "advantage": 0.5,
        "verdicts": {"correctness": fake_verdict(True)},
        "reference": {"answer": "12"},
    }
    return row | changes


CHARACTERS = "".join(map(chr, range(32, 127))) + "\n"
TURNS = (("policy", "Is it 9?\n"), ("user", "Too low."), ("policy", "12"))


def fake_turns_sample(**changes: Any) -> dict[str, Any]:
    """An episode of three turns, one token a character, whose credit differs at its first token. The environment's
    advantages are not 0 here, so that a reader that ignores the loss mask shows it.
    """
    text = "".join(text for _, text in TURNS)
    mask = [int(role == "policy") for role, text in TURNS for _ in text]
    row = {
        "prompt": "Q: 7 + 5 =",
        "response": TURNS[-1][1],
        "response_tokens": sum(mask),
        "turns": [{"role": role, "text": text, "tokens": len(text)} for role, text in TURNS],
        "response_ids": [CHARACTERS.index(character) for character in text],
        "loss_mask": mask,
        "token_advantages": [-1.0, *[0.5 if policy else 9.0 for policy in mask[1:]]],
    }
    return fake_sample(**row | changes)


def fake_tokenizer(folder: Path) -> None:
    """A complete checkpoint with a tokenizer of CHARACTERS."""
    from tokenizers import Tokenizer, decoders, models

    tokenizer = Tokenizer(models.WordLevel({character: i for i, character in enumerate(CHARACTERS)}, unk_token=" "))
    tokenizer.decoder = decoders.Fuse()
    checkpoint = folder / "checkpoints" / "step-000001"
    checkpoint.mkdir(parents=True)
    tokenizer.save(str(checkpoint / "tokenizer.json"))
    (checkpoint / "manifest.json").write_text("{}")


def write_rows(path: Path, rows: list[dict[str, Any]], mode: str = "w") -> None:
    with path.open(mode, encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def fake_run(
    folder: Path,
    *,
    steps: int = 24,
    seed: int = 0,
    problems: int = 60,
    samples: int = 4,
    eval_every: int = 6,
    kl: bool = False,
) -> Path:
    """A GRPO run that seems to have learnt: metrics, samples, recipe.yaml, run.json and one complete checkpoint."""
    source = random.Random(seed)
    fake_header(folder)
    metrics: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    difficulty = [source.random() for _ in range(problems)]
    for step in range(steps + 1):
        rate = 0.12 + 0.45 * (1 - math.exp(-step / (steps / 2.5)))
        if step:
            metrics.append(_train_row(step, steps, rate, source, kl))
            rows += _train_samples(step, rate, source)
        if step % eval_every == 0 or step == steps:
            chosen, row = _evaluation(step, rate, difficulty, samples, source)
            metrics.append(row)
            rows += chosen
    write_rows(folder / "metrics.jsonl", metrics)
    write_rows(folder / "samples.jsonl", rows)
    checkpoint = folder / "checkpoints" / f"step-{steps:06d}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").write_text("{}")
    (folder / "checkpoints" / f"step-{steps + 1:06d}").mkdir()
    return folder


def fake_sft_run(folder: Path, *, steps: int = 40) -> Path:
    """A supervised phase alone: no rewards, no evaluation."""
    fake_header(folder)
    source = random.Random(1)
    write_rows(
        folder / "metrics.jsonl",
        [
            {
                "kind": "sft",
                "step": step,
                "loss/sft": 2.4 * math.exp(-step / 12) + 0.2 + source.random() / 20,
                "tokens/response": 512,
                "optim/lr": 1e-4,
                "optim/grad_norm": 1.0 + source.random(),
                "time/step_s": 0.8,
            }
            for step in range(1, steps + 1)
        ],
    )
    return folder


def fake_header(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(
        "name: fake-quickstart\nmodel:\n  path: smollm2-135m\nseed: 1\nalgorithm:\n  advantage: grpo\n  kl_weight:"
        " 0.0\nrollout:\n  prompts_per_step: 16\n  rollouts_per_prompt: 8\n  max_new_tokens: 16\noptim:\n  lr:"
        " 1.0e-05\n"
    )
    session = {
        "started": "2026-01-01T00:00:00+0000",
        "command": ["reasonrl", "train", "a fake"],
        "versions": {"reasonrl": "0.0.0"},
        "cpu_count": 2,
    }
    (folder / "run.json").write_text(json.dumps({"sessions": [session]}))


def _train_row(step: int, steps: int, rate: float, source: random.Random, kl: bool) -> dict[str, Any]:
    accuracy = min(1.0, max(0.0, rate + source.gauss(0, 0.03)))
    solved, failed = round(16 * accuracy**3), round(16 * (1 - accuracy) ** 3)
    truncated = round(12 * math.exp(-step / 5))
    row: dict[str, Any] = {
        "kind": "train",
        "step": step,
        "reward/mean": accuracy + 0.05,
        "reward/std": math.sqrt(accuracy * (1 - accuracy)),
        "reward/correctness": accuracy,
        "reward/format": 1 - math.exp(-step / 4),
        "accuracy/train": accuracy,
        "groups/total": 16,
        "groups/mixed": 16 - solved - failed,
        "groups/all_correct": solved,
        "groups/all_wrong": failed,
        "groups/unjudged": 0,
        "rollouts/trained": 8 * (16 - solved - failed),
        "data/epoch": 0,
        "rollouts/total": 128,
        "rollouts/truncated": truncated,
        "rollouts/unparsed": round(20 * math.exp(-step / 6)),
        "rollouts/timeout": int(step % 9 == 0),
        "rollouts/error": 0,
        "rollouts/masked": truncated,
        "response/tokens_mean": 5 - 2 * step / steps + source.random() / 4,
        "response/tokens_max": 16,
        "policy/entropy": 1.2 * math.exp(-step / 15) + 0.2 + source.random() / 30,
        "policy/surprise": 1.2 * math.exp(-step / 15) + 0.2 + source.random() / 10,
        "policy/rollout_gap": 1e-6 * (1 + source.random()),
        "policy/clip_fraction": 0.0,
        "loss/policy": source.gauss(0, 0.01),
        "loss/total": source.gauss(0, 0.01),
        "optim/lr": 1e-5,
        "optim/grad_norm": 2 + source.random(),
        "optim/updates": 1,
        "tokens/prompt": 720,
        "tokens/response": 600,
        "tokens/computed": 1200,
        "time/rollout_s": 6 + source.random(),
        "time/verify_s": 0.1,
        "time/update_s": 9 + 2 * source.random(),
        "time/step_s": 16.2,
        "memory/rss_peak_mb": 3100.0,
    }
    if kl:
        row |= {"policy/kl_ref": 0.02 * step / steps + source.random() / 500, "loss/kl": 0.01}
    return row


def _train_samples(step: int, rate: float, source: random.Random) -> list[dict[str, Any]]:
    rows = []
    for problem in range(2):
        a, b = source.randrange(10), source.randrange(10)
        for rollout in range(4):
            right = source.random() < rate
            status = "judged" if source.random() > 0.15 else source.choice(["unparsed", "timeout"])
            said = str(a + b if right else a + b + source.choice([-2, -1, 1, 10]))
            response = f" {said}" if status != "unparsed" else " I think that the answer to this"
            reward = None if status == "timeout" else float(right and status == "judged")
            rows.append(
                fake_sample(
                    step=step,
                    problem_id=f"train/{step}-{problem}",
                    rollout=rollout,
                    prompt=f"Q: 2 + 3\nA: 5\n\nQ: {a} + {b}\nA:",
                    response=response,
                    reward=reward,
                    reward_parts={"correctness": reward},
                    advantage=None if reward is None else round(reward - rate, 3),
                    verdicts={"correctness": fake_verdict(right, said, status)},
                    reference={"answer": str(a + b)},
                    finish_reason="length" if status == "unparsed" else "stop",
                    response_tokens=16 if status == "unparsed" else 3,
                )
            )
    return rows


def _evaluation(
    step: int, rate: float, difficulty: list[float], samples: int, source: random.Random
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    rows = []
    outcomes: dict[str, list[list[bool | None]]] = {"greedy": [], "sampled": []}
    for number, hard in enumerate(difficulty):
        a, b = divmod(number + 11, 10)
        for mode, count, boost in (("greedy", 1, 0.1), ("sampled", samples, 0.0)):
            group: list[bool | None] = []
            for rollout in range(count):
                right = source.random() < min(1.0, max(0.0, rate + boost + 0.6 * (0.5 - hard)))
                group.append(right)
                said = str(a + b) if right else str(a + b + 1 + rollout)
                rows.append(
                    fake_sample(
                        kind="eval",
                        set="held_out",
                        mode=mode,
                        step=step,
                        problem_id=f"test/{number}",
                        rollout=rollout,
                        advantage=None,
                        prompt=f"Q: 2 + 3\nA: 5\n\nQ: {a} + {b}\nA:",
                        response=f" {said}",
                        reward=float(right),
                        reward_parts={"correctness": float(right)},
                        verdicts={"correctness": fake_verdict(right, said)},
                        reference={"answer": str(a + b)},
                    )
                )
            outcomes[mode].append(group)
    row: dict[str, Any] = {
        "kind": "eval",
        "step": step,
        "eval/held_out/problems": len(difficulty),
        "eval/held_out/samples_per_problem": samples,
    }
    for mode, groups in outcomes.items():
        row |= accuracy_of(groups).metrics(f"eval/held_out/{mode}")
    row |= {
        "eval/held_out/any_of_n": sum(True in group for group in outcomes["sampled"]) / len(difficulty),
        "time/eval_s": 8.0,
    }
    row |= {"eval/held_out/unparsed": 0.1, "eval/held_out/truncated": 0.02}
    return rows, row
