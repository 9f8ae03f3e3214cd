"""What verl would be told, and what is refused before anything starts; none of this needs verl."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from reasonrl.environments.base import Episode, Trajectory, Turn
from reasonrl.errors import ModelError, RecipeError, TrainingError
from reasonrl.models.sizes import parameters_by_name
from reasonrl.recipe.reading import parse_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.verl_backend.exports import complete_checkpoints, discard_incomplete, evaluations_left, mark_complete
from reasonrl.verl_backend.launch import reason, run_to_end
from reasonrl.verl_backend.plan import make_plan, memory_gb, unsupported
from reasonrl.verl_backend.rows import failure_of, pack_episode, pack_failure, problem_row, unpack_episode
from reasonrl.verl_backend.settings import to_hydra_overrides, translate
from reasonrl.verl_backend.watch import Watch
from tests.verl_backend.recipes import EVERYTHING
from verifiers.types import Problem, Status, Verdict


def stage(**changes: Any) -> Recipe:
    """The rl stage of EVERYTHING with sections laid over it."""
    raw = copy.deepcopy(EVERYTHING)
    del raw["model"]["attention"]  # of the tests on a CPU
    of_stage = raw["stages"][1]
    for name, value in changes.items():
        place = of_stage if name in of_stage else raw
        place[name] = {**place.get(name, {}), **value} if isinstance(value, dict) else value
    return parse_recipe(yaml.safe_dump(raw), "test").stages[1]


def test_the_same_recipe_in_the_words_of_verl(tmp_path: Path) -> None:
    made = translate(stage(), tmp_path, "/models/x", longest_prompt=9)
    wanted = {
        "trainer.v1.trainer_mode": "reasonrl_sync",
        "data.train_batch_size": 8,
        "actor_rollout_ref.rollout.n": 4,
        "actor_rollout_ref.actor.ppo_mini_batch_size": 8,
        "actor_rollout_ref.actor.policy_loss.loss_mode": "reasonrl",
        "actor_rollout_ref.actor.loss_agg_mode": "token-mean",
        "actor_rollout_ref.actor.use_kl_loss": True,
        "actor_rollout_ref.actor.kl_loss_coef": 0.05,
        "actor_rollout_ref.actor.optim.lr": 1e-4,
        "actor_rollout_ref.rollout.temperature": 1.2,
        "data.max_prompt_length": 9,
        "critic.enable": True,
        "trainer.total_training_steps": 6,
        "trainer.save_freq": 3,
        "actor_rollout_ref.actor.optim.clip_grad": 1.0,
        "trainer.max_actor_ckpt_to_keep": None,
    }
    assert {name: made[name] for name in wanted} == wanted
    gpu = stage(
        verl={"platform": "gpu", "gpus_per_node": 4, "tensor_parallel": 2},
        model={"dtype": "bfloat16"},
        train={"updates_per_step": 2},
    )
    made = translate(gpu, tmp_path, "/models/x", longest_prompt=9)
    assert made["actor_rollout_ref.actor.ppo_mini_batch_size"] == 4
    assert made["actor_rollout_ref.rollout.name"] == "vllm" and made["actor_rollout_ref.model.use_remove_padding"]
    assert (made["trainer.n_gpus_per_node"], made["actor_rollout_ref.rollout.tensor_model_parallel_size"]) == (4, 2)
    cut = translate(stage(optim={"max_grad_norm": 0.25, "eps": 1e-5}), tmp_path, "m", longest_prompt=9)
    assert cut["actor_rollout_ref.actor.optim.clip_grad"] == 0.25
    assert cut["+actor_rollout_ref.actor.optim.override_optimizer_config.eps"] == 1e-5
    dr = translate(stage(train={"advantage": "dr_grpo", "credit": "none"}), tmp_path, "m", longest_prompt=9)
    assert (dr["actor_rollout_ref.actor.loss_agg_mode"], dr["actor_rollout_ref.actor.loss_scale_factor"]) == (
        "seq-mean-token-sum-norm",
        4,
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"train": {"loss": "disco", "credit": "none", "unlikeliness": None, "mismatch": {"name": "none"}}},
            "train.loss: disco",
        ),
        ({"train": {"advantage": "remax", "credit": "none", "unlikeliness": None}}, "train.advantage: remax"),
        ({"model": {"lora": {"dropout": 0.1}, "dtype": "bfloat16"}}, "model.lora.dropout"),
        ({"verl": {"platform": "gpu"}, "model": {"dtype": "bfloat16", "attention": "eager"}}, "model.attention"),
        ({"rollout": {"engine": "my.module:Engine"}}, "rollout.engine: my.module:Engine"),
        ({"verl": {"platform": "gpu"}}, "model.dtype"),
        ({"verl": {"platform": "cpu", "nodes": 2}}, "verl.nodes"),
        (
            {"verl": {"platform": "gpu", "gpus_per_node": 2, "tensor_parallel": 4}, "model": {"dtype": "bfloat16"}},
            "verl.tensor_parallel: 4",
        ),
    ],
)
def test_what_verl_cannot_honour_is_named(changes: dict[str, Any], words: str) -> None:
    assert any(words in problem for problem in unsupported(stage(**changes))), unsupported(stage(**changes))
    assert not unsupported(stage())


def test_a_plan_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    recipe = stage(
        verl={"platform": "gpu", "gpus_per_node": 4}, model={"dtype": "bfloat16"}, curriculum={"name": "uniform"}
    )
    trainer, server = memory_gb(recipe, 7_000_000_000)
    assert trainer == pytest.approx(7 * 16 / 4 + 7 * 2 / 4) and server == pytest.approx(14)
    with pytest.raises(
        RecipeError, match=r"verl.gpu_memory_gb: 72 GB of 80 are taken before any activation .* verl.offload: true"
    ):
        make_plan(recipe, tmp_path, "m", longest_prompt=9, parameters=7_000_000_000)
    tight = stage(verl={"platform": "gpu", "gpus_per_node": 4, "gpu_memory_gb": 24.0}, model={"dtype": "bfloat16"})
    with pytest.raises(RecipeError, match=r"verl.rollout_memory_share: vLLM's weights alone take 14 GB of its 12 GB"):
        make_plan(tight, tmp_path, "m", longest_prompt=9, parameters=7_000_000_000)
    fits = make_plan(recipe, tmp_path, "m", longest_prompt=9, parameters=1_500_000_000)
    assert any("8 prompts x 4 = 32 rollouts, 8 a GPU (verl: ppo_mini_batch_size=8)" in line for line in fits.lines)
    assert fits.environment["REASONRL_VERL_STAGE"] == str(tmp_path.resolve())
    assert any(
        one.startswith("+ray_kwargs.ray_init.runtime_env.env_vars.REASONRL_VERL_STAGE=") for one in fits.settings
    )


def test_values_survive_hydra() -> None:
    given = {
        "a": None,
        "b": True,
        "c": 1e-06,
        "d": "pkg://x.y",
        "e": ["model", "hf_model"],
        "f": "false",
        "g": "1",
        "h": "/a/b-c_d.e",
    }
    wanted = [
        "a=null",
        "b=True",
        "c=1e-06",
        'd="pkg://x.y"',
        "e=[model,hf_model]",
        'f="false"',
        'g="1"',
        "h=/a/b-c_d.e",
    ]
    assert to_hydra_overrides(given) == wanted


def test_size_by_name() -> None:
    assert parameters_by_name("Qwen/Qwen3-1.7B") == 1_700_000_000
    assert parameters_by_name("Qwen/Qwen2.5-Math-7B") == 7_000_000_000
    assert parameters_by_name("HuggingFaceTB/SmolLM2-135M-Instruct") == 135_000_000
    assert parameters_by_name("org/nothing") == 0


def test_an_episode_goes_through_a_row_and_back() -> None:
    problem = Problem(
        "p", [{"role": "user", "content": "1 + 1"}], "math", {"answer": "2"}, "sums", {"question": "1 + 1"}
    )
    row = problem_row(problem, 3)
    assert Problem(**json.loads(row["problem"])) == problem
    assert json.loads(row["reward_model"]["ground_truth"]) == {"answer": "2"}
    turns = (Turn("policy", 0, 1, "2", True), Turn("user", 1, 2, "No.", False))
    own = Trajectory("policy", [5, 6], [7, 8], [True, False], [-0.5, 0.0], "2", "stop", turns)
    other = Trajectory("actor", [], [], [], [], "said", "length")
    verdict = Verdict(None, None, Status.TIMEOUT, None, "pool", "too slow", 3.0)
    episode = Episode(
        problem,
        1,
        99,
        [own, other],
        {"correctness": verdict},
        {"correctness": None},
        trained_index=0,
        failure="x",
        info={"noted": {"calls": [1, "x"]}, "no": object()},
    )
    fields = {"prompts": [5, 6], "responses": [7, 8], "response_mask": [1, 0], "rollout_log_probs": [-0.5, 0.0]}
    back = unpack_episode(pack_episode(episode, None), problem, fields)
    assert (
        back.trained_trajectory == own
        and back.verdicts == episode.verdicts
        and back.reward_parts == {"correctness": None}
    )
    assert [(t.role, t.text, t.finish_reason) for t in back.trajectories[:-1]] == [("actor", "said", "length")]
    assert back.failure == "x" and back.info == {"noted": {"calls": [1, "x"]}} and back.sample_fields == {}


def test_failures_are_told_apart() -> None:
    assert failure_of(pack_failure(ModelError("gone"), stops=False)) == ("ModelError: gone", False)
    assert failure_of(pack_failure(TrainingError("the function is broken"), stops=True)) == (
        "TrainingError: the function is broken",
        True,
    )
    assert failure_of(json.dumps({"rollout": 1})) is None


def test_the_reason_that_a_log_gives(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text(
        "\x1b[36m(pid=3)\x1b[0m hello\nValueError: a\nreasonrl.errors.TrainingError: step 2: HFServer has"
        " died\nKeyError: 'x'\n"
    )
    assert reason(log) == "step 2: HFServer has died"
    log.write_text("loading\nRuntimeError: out of memory\n")
    assert reason(log) == "RuntimeError: out of memory"
    log.write_text("loading\n")
    assert reason(log) == "it gave no reason"


class Console:
    """Keeps what it is given to show."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def start(self, seconds: float) -> None: ...

    def step(self, row: dict[str, Any]) -> None: ...


def launch_script(folder: Path, script: str) -> Console:
    """`script` in the place of verl; `count` in it is the number of this launch."""
    console = Console()
    counter = folder / "launches"
    prelude = (
        "import sys, pathlib\n"
        f"path = pathlib.Path({str(counter)!r})\n"
        "count = int(path.read_text()) + 1 if path.exists() else 1\n"
        "path.write_text(str(count))\n"
    )
    watch = Watch(folder, folder / "log.txt", console, lambda: False)  # type: ignore[arg-type]
    run_to_end([sys.executable, "-c", prelude + script], {}, folder / "log.txt", watch)
    return console


TAKEN = "print('torch.distributed.DistNetworkError: code: -98, name: EADDRINUSE, message: address already in use')\n"


def test_a_launch_whose_port_was_taken_is_repeated(tmp_path: Path) -> None:
    console = launch_script(tmp_path, f"if count < 3:\n    {TAKEN}    sys.exit(1)\n")
    assert (tmp_path / "launches").read_text() == "3"
    assert len(console.warnings) == 2
    assert "another process took a port" in console.warnings[0]


def test_a_port_that_stays_taken_ends_the_run_after_three_launches(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"verl ended with 1: .*EADDRINUSE"):
        launch_script(tmp_path, f"{TAKEN}sys.exit(1)\n")
    assert (tmp_path / "launches").read_text() == "3"


def test_another_failure_of_verl_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="verl ended with 1: RuntimeError: out of memory"):
        launch_script(tmp_path, "print('RuntimeError: out of memory'); sys.exit(1)")
    assert (tmp_path / "launches").read_text() == "1"


def test_a_port_that_is_lost_after_a_step_is_not_a_launch_to_repeat(tmp_path: Path) -> None:
    row = {"kind": "train", "step": 1, "time/step_s": 1.0}
    metrics = tmp_path / "metrics.jsonl"
    script = f"pathlib.Path({str(metrics)!r}).write_text({json.dumps(row)!r} + chr(10))\n{TAKEN}sys.exit(1)\n"
    with pytest.raises(TrainingError, match="EADDRINUSE"):
        launch_script(tmp_path, script)
    assert (tmp_path / "launches").read_text() == "1"


def test_verl_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reasonrl.verl_backend import launch

    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"backend: verl is not installed here. .*make venv-verl"):
        launch.check_verl()
    plan = make_plan(stage(), tmp_path, "m", longest_prompt=9, parameters=1)
    assert "not checked against its schema" in launch.check_settings(plan)
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(launch.importlib.metadata, "version", lambda name: "0.10.0")
    with pytest.raises(RecipeError, match=r"verl 0.10.0 is installed, but .* tested only with 0.9.1"):
        launch.check_verl()


def test_rows_are_tensors_where_verl_wants_them() -> None:
    row = problem_row(Problem("p", "text", "math", {"answer": "1"}), 0)
    assert row["raw_prompt"] == [{"role": "user", "content": "text"}] and isinstance(row["dummy_tensor"], torch.Tensor)


def test_a_launch_begins_with_the_newest_checkpoint_that_is_whole(tmp_path: Path) -> None:
    """verl's note may name a step that a kill has cut off, or be empty."""
    for step, whole in ((2, True), (10, True), (12, False)):
        (tmp_path / f"global_step_{step}" / "reasonrl").mkdir(parents=True)
        if whole:
            mark_complete(tmp_path / f"global_step_{step}")
    note = tmp_path / "latest_checkpointed_iteration.txt"
    for said in ("12", "", "10", None):
        note.unlink(missing_ok=True)
        if said is not None:
            note.write_text(said)
        discard_incomplete(tmp_path)
        assert note.read_text() == "10"
        assert [path.name for path in complete_checkpoints(tmp_path)] == ["global_step_2", "global_step_10"]
        assert not (tmp_path / "global_step_12").exists()
    (tmp_path / "global_step_2" / "reasonrl" / "complete").unlink()
    (tmp_path / "global_step_10" / "reasonrl" / "complete").unlink()
    discard_incomplete(tmp_path)
    assert not list(tmp_path.iterdir()), "nothing is whole: begin anew"


def test_evaluations_that_a_kill_has_left_out(tmp_path: Path) -> None:
    recipe = stage()
    assert evaluations_left(tmp_path, recipe, 6) == ["sums"]
    rows = [
        {"kind": "train", "step": 6},
        {"kind": "eval", "step": 3, "eval/sums/greedy": 0.5, "eval/sums/problems": 20},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert evaluations_left(tmp_path, recipe, 6) == ["sums"] and evaluations_left(tmp_path, recipe, 3) == []
    none = stage(evaluation={"greedy": False, "samples_per_problem": 0})
    assert evaluations_left(tmp_path, none, 6) == []
