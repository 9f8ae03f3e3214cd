"""docs/extending.md: every example is short, runs as the page has it, and is what the run really used."""

from __future__ import annotations

import functools
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml

from reasonrl import cli
from tests.tiny_runs import merged, rows, tiny, write_recipe

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "extending.md"
MOST_LINES = 15
"""Of an example, not counting empty lines."""
LONGER = {"my_partner": 24}


class Example(NamedTuple):
    module: str
    """The file's name without its ending."""
    code: str
    recipe: dict[str, Any]
    """The keys that the page shows."""


def sections() -> dict[str, str]:
    """The text of each section by its title."""
    parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]
    return {title: text for title, _, text in (part.partition("\n") for part in parts)}


def examples() -> dict[str, list[Example]]:
    """By the title of the section. Each code block is followed by one with its keys; more keys may follow."""
    by_title: dict[str, list[Example]] = {}
    for title, section in SECTIONS.items():
        blocks = re.findall(r"^```(\w*)\n(.*?)^```", section, re.M | re.S)
        languages = [language for language, _ in blocks]
        assert languages == ["python", "yaml"] * languages.count("python") + ["yaml"] * (title == WITHOUT), title
        for (_, code), (_, keys) in zip(blocks[::2], blocks[1::2], strict=False):
            module = re.match(r"# (\w+)\.py\n", code)
            assert module, code
            by_title.setdefault(title, []).append(Example(module.group(1), code, yaml.safe_load(keys)))
    return by_title


WITHOUT = "Without a reference answer"
SECTIONS = sections()
ALL_EXAMPLES = {example.module: example for listed in examples().values() for example in listed}
EXAMPLES = {title: listed[0] for title, listed in examples().items() if title != WITHOUT}
"""The first example of each section."""
BUILT_IN = {title: section.partition("**Built in:**")[2] for title, section in SECTIONS.items()}
SIGNAL = {"reward": {"correctness": 1.0, "digits": {"weight": 0.2, "function": "my_reward:digits"}}}
"""A random model adds nothing up, but some of its responses have more digits than others."""
SEVERAL_UPDATES = {"train": {"epochs_per_step": 3}, "optim": {"lr": 0.03}}
CRITIC: dict[str, Any] = {
    "name": "critic",
    "seed": 1,
    "threads": 1,
    "model": {"path": "tiny-critic"},
    "data": {"train": {"source": "solutions.jsonl"}},
    "rollout": {"rollouts_per_prompt": 2, "max_new_tokens": 3},
    "train": {"steps": 2, "prompts_per_step": 2},
    "critic": {},
}
SOLUTIONS = [
    {
        "id": f"s{i}",
        "problem": f"{i} + 1?",
        "steps": [f"{i} + 1 = {i + 1 + i % 2}"],
        "label": -(1 - i % 2),
        "final_answer_correct": i % 2 == 0,
    }
    for i in range(4)
]


def recipe_for(module: str, keys: dict[str, Any] | None = None) -> dict[str, Any]:
    """A tiny recipe with the page's keys laid over it: those of the module's example, unless others are given."""
    keys = ALL_EXAMPLES[module].recipe if keys is None else keys
    if module == "my_format":
        return merged(CRITIC, keys)
    signal = {} if module == "my_quality" else SIGNAL
    short = merged(tiny(train={"steps": 2}), merged(signal, SEVERAL_UPDATES if module == "my_loss" else {}))
    for section in ("verifier", "data"):  # options of the tiny one would reach the page's
        if section in keys:
            del short[section]
    return merged(short, keys)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a user who has typed in the whole page."""
    path = tmp_path_factory.mktemp("user")
    for example in ALL_EXAMPLES.values():
        (path / f"{example.module}.py").write_text(example.code, encoding="utf-8")
    prompts = [json.dumps({"prompt": f"Write a number below {n}:"}) for n in range(10, 18)]
    (path / "prompts.jsonl").write_text("\n".join(prompts), encoding="utf-8")
    (path / "solutions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in SOLUTIONS), encoding="utf-8")
    yield path
    for module in ALL_EXAMPLES:
        sys.modules.pop(module, None)


@pytest.fixture
def command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """`reasonrl ...` in that folder, without a new interpreter; gives the exit code and what was printed."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["reasonrl", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out + captured.err

    return run


def trained(
    folder: Path, command: Callable[..., tuple[int, str]], module: str, keys: dict[str, Any] | None = None
) -> tuple[list[Any], list[Any]]:
    """Rows of metrics and of samples of a run's training steps."""
    name = module if keys is None else f"{module}_keys"
    recipe = write_recipe(folder, recipe_for(module, keys), f"{name}.yaml")
    code, printed = command("train", str(recipe), f"run_dir={name}", "-q", "--offline")
    assert code == 0, printed
    metrics, samples = (rows(folder / name / f"{kind}.jsonl") for kind in ("metrics", "samples"))
    metrics, samples = ([row for row in table if row["kind"] == "train"] for table in (metrics, samples))
    assert len(metrics) == 2 and samples
    return metrics, samples


def test_the_page_has_the_seven_parts() -> None:
    titles = "Advantage, Loss, Reward function, Verifier, Environment, Critique format, Data source"
    assert list(EXAMPLES) == titles.split(", ")


@pytest.mark.parametrize("module", ALL_EXAMPLES)
def test_an_example_is_short(module: str) -> None:
    lines = [line for line in ALL_EXAMPLES[module].code.splitlines() if line]
    assert len(lines) <= LONGER.get(module, MOST_LINES)


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_files_of_a_built_in_one_are_there(title: str) -> None:
    paths = re.findall(r"`((?:reasonrl|verifiers|critics)/[\w/.]+)`", BUILT_IN[title])
    assert paths and all((ROOT / path).exists() for path in paths)
    text = "".join((ROOT / path).read_text(encoding="utf-8") for path in paths if path.endswith(".py"))
    for name in re.findall(r"in `(\w+)` of", BUILT_IN[title]):
        assert re.search(rf"^{name}\b.*=", text, re.M), f"no {name} in {paths}"


def test_an_advantage(folder: Path, command: Callable[..., tuple[int, str]]) -> None:
    _, samples = trained(folder, command, "my_advantage")
    function = importlib.import_module("my_advantage").per_root_token
    for step in (1, 2):
        batch = [sample for sample in samples if sample["step"] == step]
        rewards = torch.tensor([sample["reward"] for sample in batch])
        group = torch.tensor([sample["group"] for sample in batch])
        lengths = torch.tensor([len(sample["response_ids"]) for sample in batch])
        expected = function(rewards, group, torch.ones(len(batch), dtype=torch.bool), lengths)
        assert bool((expected != 0).any())
        torch.testing.assert_close(torch.tensor([s["advantage"] for s in batch]), expected, atol=1e-5, rtol=0)


def test_a_loss(folder: Path, command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    module = importlib.import_module("my_loss")
    plain, bounds = module.one_sided, []

    @functools.wraps(plain)
    def watched(*arguments: Any, **settings: Any) -> Any:
        bounds.append(settings["clip_high"])
        return plain(*arguments, **settings)

    monkeypatch.setattr(module, "one_sided", watched)
    metrics, _ = trained(folder, command, "my_loss")
    assert len(bounds) >= sum(row["optim/updates"] for row in metrics) == 6
    assert set(bounds) == {0.3}, "the recipe's clip_high reaches it"
    assert any(row["policy/clip_fraction"] > 0 for row in metrics), "the mask that it returns is measured"


def test_a_reward_function(folder: Path, command: Callable[..., tuple[int, str]]) -> None:
    metrics, samples = trained(folder, command, "my_reward")
    assert all("reward/digits" in row for row in metrics)
    for sample in samples:
        share = sum(c.isdigit() for c in sample["response"]) / max(1, len(sample["response"]))
        assert sample["reward_parts"]["digits"] == pytest.approx(share)
        assert sample["reward"] == pytest.approx(sample["reward_parts"]["correctness"] + 0.2 * share)


def test_a_verifier(folder: Path, command: Callable[..., tuple[int, str]]) -> None:
    _, samples = trained(folder, command, "my_verifier")
    assert {sample["verdicts"]["correctness"]["method"] for sample in samples} == {"last_word"}


def test_an_environment(folder: Path, command: Callable[..., tuple[int, str]]) -> None:
    _, samples = trained(folder, command, "my_environment")
    spoken = [[turn["role"] for turn in sample["turns"]] for sample in samples]
    assert ["policy", "user", "policy", "user", "policy"] in spoken
    assert {turn["text"] for sample in samples for turn in sample["turns"] if turn["role"] == "user"} == {" No. ="}


def test_a_critique_format(
    folder: Path, command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(folder))
    kind = importlib.import_module("my_format").OneWord
    assert [kind().parse(text).parse_status for text in ("Correct", "**wrong**", "maybe")] == ["ok", "ok", "malformed"]
    plain, read = kind.parse, []
    monkeypatch.setattr(kind, "parse", lambda self, text, steps=None: read.append(text) or plain(self, text, steps))
    _, samples = trained(folder, command, "my_format")
    assert {sample["response"] for sample in samples} <= set(read)
    assert all("Check." in sample["prompt"] for sample in samples), "the option of the recipe"


def test_a_data_source(folder: Path, command: Callable[..., tuple[int, str]]) -> None:
    _, samples = trained(folder, command, "my_data")
    numbers = [int(sample["problem_id"].removeprefix("double/")) for sample in samples]
    assert numbers and all(number % 2 == 0 for number in numbers)
    assert {sample["reference"]["answer"] for sample in samples} == {str(2 * number) for number in numbers}


def test_a_reward_function_that_looks_at_episodes(folder: Path, command: Callable[..., tuple[int, str]]) -> None:
    little_room = {"rollout": {"max_response_tokens": 18}}
    keys = merged(merged(ALL_EXAMPLES["my_environment"].recipe, little_room), ALL_EXAMPLES["my_turns"].recipe)
    _, samples = trained(folder, command, "my_turns", keys)
    for sample in samples:
        turns = sum(turn["role"] == "policy" for turn in sample["turns"])
        assert sample["reward_parts"]["few_turns"] == pytest.approx(1 / turns)
    assert len({sample["reward_parts"]["few_turns"] for sample in samples}) > 1


def test_a_judge_that_hangs_in_a_worker_pool_costs_its_own_row_only(
    folder: Path, command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = ALL_EXAMPLES["my_slow_verifier"].code
    hanging = code.replace(
        "    return item[0] ==", "    while '7' in item[0] and item[1] not in item[0]: pass\n    return item[0] =="
    )
    assert hanging != code
    (folder / "my_hanging_verifier.py").write_text(hanging.replace("my_slow_", "my_hanging_"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    verifier = importlib.import_module("my_hanging_verifier").Slow(timeout_s=1.0, workers=1)
    verdicts = verifier.verify(["12", "17", "13"], [{"answer": "12"}] * 3)
    assert [verdict.status.value for verdict in verdicts] == ["judged", "timeout", "judged"]
    assert [verdict.correct for verdict in verdicts] == [True, None, False]
    _, samples = trained(folder, command, "my_slow_verifier")
    assert {sample["verdicts"]["correctness"]["method"] for sample in samples} == {"slow"}


def test_a_partner_that_hangs_costs_its_own_episode_only(folder: Path, command: Callable[..., tuple[int, str]]) -> None:
    _, samples = trained(folder, command, "my_partner")
    failed = [sample for sample in samples if "9" in sample["turns"][0]["text"]]
    assert 0 < len(failed) < len(samples)
    for sample in samples:
        roles, verdict = [turn["role"] for turn in sample["turns"]], sample["verdicts"]["correctness"]
        if sample in failed:
            assert roles == ["policy"] and sample["reward"] is None and verdict["reason"] == "TimeoutError()"
        else:
            assert roles == ["policy", "user", "policy"] and verdict["status"] in ("judged", "unparsed")


def test_a_partner_that_refuses_the_connection_costs_its_own_episode_only(
    folder: Path, command: Callable[..., tuple[int, str]]
) -> None:
    code = ALL_EXAMPLES["my_partner"].code
    hangs = "    await asyncio.sleep(60 if "
    refusing = code.replace(hangs, "    if '9' in text: raise ConnectionRefusedError('refused')\n" + hangs)
    assert refusing != code
    (folder / "my_refusing.py").write_text(refusing, encoding="utf-8")
    keys = {
        "rollout": {**ALL_EXAMPLES["my_partner"].recipe["rollout"], "environment": {"name": "my_refusing:WithPartner"}}
    }
    _, samples = trained(folder, command, "my_partner", keys)
    failed = [sample for sample in samples if "9" in sample["turns"][0]["text"]]
    assert 0 < len(failed) < len(samples)
    reasons = {sample["verdicts"]["correctness"]["reason"] for sample in failed}
    assert reasons == {"ConnectionRefusedError('refused')"} and all(sample["reward"] is None for sample in failed)


def test_prompts_without_an_answer(folder: Path, command: Callable[..., tuple[int, str]]) -> None:
    _, samples = trained(folder, command, "my_quality")
    for sample in samples:
        share = sum(c.isdigit() for c in sample["response"]) / max(1, len(sample["response"]))
        assert sample["reward"] == pytest.approx(share)
        assert sample["verdicts"]["correctness"]["correct"] is (share >= 0.5)
    keys = yaml.safe_load(re.findall(r"^```yaml\n(.*?)^```", SECTIONS[WITHOUT], re.M | re.S)[-1])
    metrics, samples = trained(folder, command, "my_reward", keys)
    assert all(sample["reward"] == pytest.approx(sample["reward_parts"]["digits"]) for sample in samples)
    assert {sample["verdicts"]["correctness"]["method"] for sample in samples} == {"format.boxed"}
    assert all("reward/digits" in row for row in metrics)


@pytest.mark.parametrize("title", EXAMPLES)
def test_a_dry_run_finds_a_wrong_name(title: str, folder: Path, command: Callable[..., tuple[int, str]]) -> None:
    name = EXAMPLES[title].module
    good = write_recipe(folder, recipe_for(name), f"{name}_dry.yaml")
    code, printed = command("train", str(good), "--dry-run", "--offline")
    assert code == 0, printed
    text = good.read_text(encoding="utf-8")
    bad = folder / f"{name}_bad.yaml"
    bad.write_text(re.sub(rf"\b({name}:\w+)", r"\1s", text), encoding="utf-8")
    code, printed = command("train", str(bad), "--dry-run", "--offline")
    assert code == 2
    assert "did you mean" in printed and "Traceback" not in printed
