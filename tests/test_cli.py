"""The command as a user runs it: what it prints, its exit codes, and one clear sentence for every mistake."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from reasonrl import cli
from tests.tiny_runs import (
    command,
    environment,
    run,
    tiny,
    write_recipe,
)

PLAIN = tiny(evaluation={"samples_per_problem": 2})


def in_process(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """The same entry point without a new interpreter, for commands that need no more than the exit code and the
    words.
    """
    monkeypatch.setattr("sys.argv", ["reasonrl", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def test_help_is_quick_and_imports_nothing_heavy(tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        done = run(tmp_path, "--help")
        seconds.append(time.perf_counter() - started)
        assert done.returncode == 0
        assert "train" in done.stdout
        assert "doctor" in done.stdout
    script = (
        "import sys, reasonrl.cli\nsys.argv = ['reasonrl', 'train', '--help']\ntry: reasonrl.cli.main()\nexcept"
        " SystemExit: pass\nheavy = {'torch', 'transformers', 'numpy', 'matplotlib', 'sympy', 'pandas'} &"
        " set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    if os.getloadavg()[0] < 2 * (os.cpu_count() or 1):
        assert statistics.median(seconds) < 0.5, seconds


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "smok"], "no recipe 'smok': did you mean 'smoke'?"),
        (["train", "RECIPE", "train.stps=3"], "train.stps: unknown key; did you mean 'steps'?"),
        (["train", "RECIPE", "train.steps"], "expected key=value"),
        (
            ["train", "RECIPE", "model.path=nowhere", "run_dir=x1"],
            "model.path: 'nowhere' is neither a folder nor a Hugging Face id",
        ),
        (["train", "RECIPE", "data.train.source=none.jsonl", "run_dir=x2"], "none.jsonl"),
        (["train", "RECIPE", "train.advantage=grppo", "run_dir=x3"], "did you mean 'grpo'?"),
        (
            ["train", "RECIPE", "verifier=mth", "run_dir=x4"],
            "verifier: there is no verifier 'mth'; did you mean 'math'?",
        ),
        (["train", "RECIPE", "rollout.max_new_tokens=9999", "run_dir=x5"], "exceeds the model's 512 positions"),
        (["eval", "tiny-arithmetic"], "name a file with --data, or a recipe with --recipe"),
        (["eval", "tiny-arithmetic", "--data", "none.jsonl"], "none.jsonl"),
        (["eval", "nowhere", "--data", "none.jsonl"], "model.path: 'nowhere'"),
        (["compare", "here", "there"], "here: no such file or folder"),
        (["report", "nowhere"], "nowhere"),
        (["recipes", "cp", "smok"], "did you mean 'smoke'?"),
        (["data", "show", "gsm9k"], "data source 'gsm9k' is not known"),
        (["data", "show", "arithmetic", "-o", "size"], "--option size: write key=value"),
        (["trian"], "trian"),
        (["train"], "RECIPE"),
        (["eval", "m", "--n", "-1"], "--n"),
    ],
)
def test_a_users_mistake_is_one_message_and_exit_code_two(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = str(write_recipe(tmp_path, PLAIN))
    arguments = [recipe if a == "RECIPE" else a for a in arguments]
    code, out, err = in_process(arguments, monkeypatch, capsys)
    assert code == 2
    assert words.lower() in err.lower()
    assert "Traceback" not in err + out
    code, out, err = in_process([*arguments, "--json"], monkeypatch, capsys)
    assert code == 2
    told = json.loads(out.strip().splitlines()[-1])
    assert words.lower() in told["error"].lower()


def test_the_exit_codes_of_the_process_itself(tmp_path: Path) -> None:
    done = run(tmp_path, "train", "smok", "--json")
    assert done.returncode == 2
    assert list(json.loads(done.stdout)) == ["error"]
    assert done.stderr == ""


def test_a_foreign_verifiers_package_is_told_in_one_sentence(tmp_path: Path) -> None:
    """Another distribution has the import name `verifiers`. It may import happily, lack our types, or fail by
    itself.
    """
    for name, text in {"other": "", "typed": "", "broken": "import a_module_that_nobody_has\n"}.items():
        package = tmp_path / name / "verifiers"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(text)
        if name == "typed":
            (package / "types.py").write_text("")
        path = os.pathsep.join([str(tmp_path / name), *filter(None, [os.environ.get("PYTHONPATH")]), *sys.path[1:]])
        for arguments in ([sys.executable, "-c", "import reasonrl"], command("doctor")):
            done = subprocess.run(
                arguments,
                cwd=tmp_path,
                env={**environment(), "PYTHONPATH": path},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode in (1, 2)
            assert "Traceback" not in done.stderr, done.stderr
            assert done.stderr.count("\n") == 1
            assert "is not the one of reasonrl" in done.stderr
            assert str(package) in done.stderr


def test_a_program_can_catch_the_clash_as_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from reasonrl import _installation as installation

    before = sys.excepthook
    monkeypatch.setattr(installation, "_is_ours", lambda: False)
    with pytest.raises(ImportError, match="pip uninstall verifiers"):
        installation.check_verifiers()
    sys.excepthook = before


def test_recipes_and_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = in_process(["recipes", "ls", "--json"], monkeypatch, capsys)
    assert code == 0
    assert {"quickstart", "smoke"} <= {r["name"] for r in json.loads(out)["recipes"]}
    code, out, _ = in_process(["recipes", "cp", "smoke", "mine"], monkeypatch, capsys)
    assert code == 0
    assert (tmp_path / "mine" / "recipe.yaml").is_file()
    code, _, err = in_process(["recipes", "cp", "smoke", "mine"], monkeypatch, capsys)
    assert (code, "mine already exists" in err) == (2, True)
    code, out, err = in_process(["doctor", "--json"], monkeypatch, capsys)
    found = json.loads(out.splitlines()[0])["findings"]
    assert code == (1 if any(f["level"] == "problem" for f in found) else 0)
    assert any("the module `verifiers` is reasonrl's own" in f["what"] for f in found)


def test_data_show_and_convert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.jsonl").write_text('{"q": "1+1?", "a": "2"}\n{"q": "2+2?", "a": "4"}\n')
    columns = ["-c", "prompt=q", "-c", "answer=a"]
    code, out, _ = in_process(["data", "show", "q.jsonl", *columns, "--limit", "1", "--json"], monkeypatch, capsys)
    assert code == 0
    (problem,) = json.loads(out)["problems"]
    assert (problem["prompt"], problem["reference"]) == ("1+1?", {"answer": "2"})
    code, out, _ = in_process(
        ["data", "convert", "q.jsonl", "out.parquet", "--to", "verl", *columns], monkeypatch, capsys
    )
    assert (code, "2 problems written to out.parquet" in out) == (0, True)
    code, out, _ = in_process(["data", "show", "out.parquet", "--json"], monkeypatch, capsys)
    assert [p["reference"]["answer"] for p in json.loads(out)["problems"]] == ["2", "4"]


def test_dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    reward = {
        "correctness": 1.0,
        "shape": {"weight": 0.1, "verifier": {"name": "format", "pattern": r"\s*\d+\s*"}},
        "constant": {"weight": 0.1, "verifier": {"name": "format", "pattern": r"[\s\S]*"}},
    }
    path = write_recipe(tmp_path, {**PLAIN, "reward": reward})
    code, out, err = in_process(["train", str(path), "--dry-run", "--json"], monkeypatch, capsys)
    assert code == 0, err
    (plan,) = json.loads(out)["stages"]
    expected = {
        "kind": "rl",
        "train_problems": 30,
        "heldout_problems": {"sums": 6},
        "steps": 3,
        "prompts_per_step": 4,
        "rollouts_per_step": 16,
        "optimizer_updates": 3,
        "most_tokens_sampled_per_step": 64,
    }
    assert {key: plan[key] for key in expected} == expected
    assert len(plan["first_prompts"]) == len(plan["gold_responses"]) == 2
    for prompt, gold in zip(plan["first_prompts"], plan["gold_responses"], strict=True):
        assert prompt.endswith(" =")
        assert int(gold) == eval(prompt.removesuffix("="))
    assert "gold answers that score 1: 30 of 30" in plan["data_checks"]["train"]
    assert plan["memory_gb"] > 0
    assert plan["minutes"] > 0
    assert len(plan["warnings"]) == 1
    assert plan["warnings"][0].startswith("reward.constant: gives the same score to every response")
    assert not (tmp_path / "runs").exists()

    code, out, _ = in_process(["train", str(path), "--dry-run"], monkeypatch, capsys)
    assert code == 0
    assert "each step       4 prompts, 16 rollouts, at most 64 sampled tokens" in out
    assert "3 steps, 3 optimiser updates" in out
    assert "WARNING" in out
    assert "nothing was trained" in out


def test_a_gold_answer_that_does_not_score_one_is_named_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"id": "good", "prompt": "1+1", "answer": "2"},
        {"id": "bad", "prompt": "what?", "answer": "no number at all?!"},
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe: dict[str, Any] = {
        **PLAIN,
        "data": {"train": {"source": "q.jsonl"}},
        "verifier": {"name": "always_wrong:Never"},
    }
    (tmp_path / "always_wrong.py").write_text(
        "from verifiers import Status, Verdict\nclass Never:\n    def gold_response(self, reference): return"
        " reference['answer']\n    def verify(self, responses, references):\n        return [Verdict(r == '2', float(r"
        " == '2'), Status.JUDGED, r, 'mine', 'only 2 will do', 0.0) for r in responses]\n"
    )
    monkeypatch.setattr("sys.path", [*sys.path])
    code, _, err = in_process(["train", str(write_recipe(tmp_path, recipe)), "--dry-run"], monkeypatch, capsys)
    assert code == 2
    assert "data.train: the gold answer of each problem must score 1" in err
    assert "row 2 (bad): the gold answer 'no number at all?!' scores 0: only 2 will do" in err


def test_a_failed_start_does_not_block_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing file is mended and the same command run again; only a run with results is protected."""
    monkeypatch.chdir(tmp_path)
    path = str(write_recipe(tmp_path, tiny(train={"steps": 1}, evaluation={"samples_per_problem": 0})))
    code, _, err = in_process(["train", path, "model.path=./nowhere", "run_dir=r", "-q"], monkeypatch, capsys)
    assert (code, "neither a folder" in err) == (2, True)
    code, out, err = in_process(["train", path, "run_dir=r", "--json"], monkeypatch, capsys)
    assert code == 0, err
    assert json.loads(out.strip().splitlines()[-1])["run_dir"] == "r"
    code, _, err = in_process(["train", path, "run_dir=r", "-q"], monkeypatch, capsys)
    assert (code, "r already holds a run. Continue it with --resume" in err) == (2, True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    code, _, err = in_process(["train", path, "run_dir=full", "-q"], monkeypatch, capsys)
    assert (code, "is not a run" in err) == (2, True)


def test_train_evaluate_compare_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A staged run, then everything that is done with one."""
    monkeypatch.chdir(tmp_path)
    stages = [
        {"name": "warm-up", "kind": "sft", "sft": {"steps": 2, "rows_per_step": 8, "response": " {gold}\n"}},
        {"name": "grpo", "kind": "rl", "train": {"steps": 1, "prompts_per_step": 2}},
    ]
    path = str(write_recipe(tmp_path, {**PLAIN, "stages": stages}))
    code, out, err = in_process(["train", path, "--json"], monkeypatch, capsys)
    assert code == 0, err
    made = json.loads(out.strip().splitlines()[-1])
    assert made["run_dir"] == "runs/tiny"
    assert Path(made["model"]) == Path("runs/tiny/stages/02-grpo/checkpoints/step-000001")
    assert Path(made["report"]).is_file()

    code, out, err = in_process(["eval", "runs/tiny", "--n", "3", "--output", "a", "--json"], monkeypatch, capsys)
    assert code == 0, err
    result = json.loads(out)
    assert result["weights"] == made["model"]
    assert result["metrics"]["eval/sums/problems"] == 6
    assert result["metrics"]["eval/sums/samples_per_problem"] == 3
    assert result["sampling"]["stop"] == ["\n"]  # the run's own settings
    assert json.loads(Path("a/results.json").read_text())["metrics"] == result["metrics"]
    assert len(Path("a/samples.jsonl").read_text().splitlines()) == 6 * 4

    (tmp_path / "sums.jsonl").write_text(
        "".join(json.dumps({"prompt": f"{i} + 1 =", "answer": str(i + 1)}) + "\n" for i in range(5))
    )
    for name, model in (("b", "tiny-arithmetic"), ("c", made["model"])):
        arguments = [
            "eval",
            model,
            "--data",
            "sums.jsonl",
            "--n",
            "8",
            "--set",
            "rollout.max_new_tokens=4",
            "--output",
            name,
        ]
        code, out, err = in_process(arguments, monkeypatch, capsys)
        assert code == 0, err
        assert "n=5 x 8 samples" in out
        assert "[" in out
        samples = [json.loads(line) for line in Path(name, "samples.jsonl").read_text().splitlines()]
        assert len(samples) == 5 * 9
        assert samples[0]["prompt"] == "0 + 1 ="  # no chat template: asked as it stands
    code, _, err = in_process([*arguments[:-1], "b"], monkeypatch, capsys)
    assert (code, "b already holds results" in err) == (2, True)

    code, out, err = in_process(["compare", "b", "c", "--json"], monkeypatch, capsys)
    assert code == 0, err
    assert {r["mode"] for r in json.loads(out)["results"]} == {"greedy", "sampled"}
    code, out, err = in_process(["compare", "b", "c"], monkeypatch, capsys)
    assert "5 problems" in out
    code, _, err = in_process(["compare", "a", "b"], monkeypatch, capsys)
    assert code == 2, err
    code, out, err = in_process(["report", "runs/tiny/stages/02-grpo", "--json"], monkeypatch, capsys)
    assert code == 0, err
    assert Path(json.loads(out)["report"]).is_file()


def test_plain_questions_become_chat_messages_for_a_chat_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from reasonrl.models.loading import load_model

    monkeypatch.chdir(tmp_path)
    made = load_model("tiny-arithmetic", device="cpu")
    made.tokenizer.chat_template = (
        "{% for m in messages %}Q{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}A{% endif %}"
    )
    made.model.save_pretrained("chat")
    made.tokenizer.save_pretrained("chat")
    rows = [{"prompt": "1 + 1", "answer": "2"}, {"prompt": [{"role": "user", "content": "2 + 2"}], "answer": "4"}]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = ["eval", "./chat", "--data", "q.jsonl", "--n", "0", "--set", "rollout.max_new_tokens=2", "--output"]
    for name, more, expected in (
        ("default", [], ["Q1 + 1A", "Q2 + 2A"]),
        ("asked", ["--set", 'data.prompt.system="3"', "--limit", "1"], ["Q3Q1 + 1A"]),
    ):
        code, _, err = in_process([*base, name, *more], monkeypatch, capsys)
        assert code == 0, err
        assert [json.loads(line)["prompt"] for line in Path(name, "samples.jsonl").read_text().splitlines()] == expected


@pytest.mark.slow
def test_everything_of_the_users_own_by_dotted_path(tmp_path: Path) -> None:
    """A verifier, a reward function, an environment and a data function, all in one module of the current folder."""
    (tmp_path / "mine.py").write_text("""
from dataclasses import dataclass
from reasonrl.environments.single_turn import SingleTurn
from verifiers import Problem, Status, Verdict


def sums(size, seed=0):
    return [Problem(f"mine/{i}", f"{i} + {seed}", "math", {"answer": str(i + seed)}) for i in range(size)]


class Exact:
    def __init__(self, strip=False):
        self.strip = strip

    def gold_response(self, reference):
        return " " + reference["answer"]

    def verify(self, responses, references):
        out = []
        for response, reference in zip(responses, references, strict=True):
            right = (response.strip() if self.strip else response) == reference["answer"]
            out.append(Verdict(right, float(right), Status.JUDGED, response, "exact", "compared", 0.0))
        return out


def short(responses, problems):
    assert all(p.id.startswith("mine/") for p in problems)
    return [None if i == 1 else 1.0 / (1 + len(r)) for i, r in enumerate(responses)]


class Noted(SingleTurn):
    async def episode(self, problem, rollout, seed, engine):
        made = await super().episode(problem, rollout, seed, engine)
        made.info["noted"] = True
        open("noted.txt", "a").write(problem.id + "\\n")
        return made
""")
    recipe = tiny(
        data={"train": {"source": "mine:sums", "seed": 3, "options": {"size": 5}}, "heldout": {}},
        verifier={"name": "mine:Exact", "strip": True},
        reward={"correctness": 1.0, "short": {"weight": 0.5, "function": "mine:short"}},
        rollout={"environment": "mine:Noted"},
        train={"steps": 1},
    )
    recipe["data"]["train"]["options"] = {"size": 5}
    recipe["data"]["heldout"], recipe["verifier"] = {}, {"name": "mine:Exact", "strip": True}
    done = run(tmp_path, "train", write_recipe(tmp_path, recipe), "run_dir=r", "--quiet")
    assert done.returncode == 0, done.stderr
    samples = [json.loads(line) for line in (tmp_path / "r" / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 16
    assert len((tmp_path / "noted.txt").read_text().splitlines()) == 16
    assert {s["verdicts"]["correctness"]["method"] for s in samples} == {"exact"}
    assert samples[1]["reward"] is None  # not judged is not zero
    assert samples[1]["advantage"] == 0
    assert samples[0]["reward"] == pytest.approx(
        samples[0]["reward_parts"]["correctness"] + 0.5 / (1 + len(samples[0]["response"]))
    )
