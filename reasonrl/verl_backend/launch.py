"""A stage of kind rl on verl: data and settings into the run folder, then verl's own entry point in a process of its
own.

STAGE/verl/recipe.yaml     what every process of verl reads
STAGE/verl/data/*.jsonl    the problems, checked
STAGE/verl/settings.txt    verl's settings, one a line; launch: `python -m verl.trainer.main_ppo $(cat settings.txt)`
STAGE/verl/log.txt         what verl printed
STAGE/verl/checkpoints/    verl's checkpoints, ours in each; STAGE/checkpoints/ has the weights as Hugging Face folders
STAGE/metrics.jsonl, samples.jsonl   as a local run writes them
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reasonrl.errors import ModelError, RecipeError, TrainingError
from reasonrl.models import tiny
from reasonrl.models.loading import check_model_files, load_model, load_tokenizer_and_config, model_source
from reasonrl.models.lora import refuse_tied_targets
from reasonrl.models.sizes import count_parameters
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from reasonrl.runs.checkpoint import newest_checkpoint
from reasonrl.runs.folder import warn_of_start_over
from reasonrl.setup.data import RunData, load_data
from reasonrl.setup.lengths import check_lengths
from reasonrl.setup.prompt_checks import known_end_ids, template_warnings
from reasonrl.setup.prompt_tokens import check_prompt_tokens
from reasonrl.setup.roles import check_refining, with_served_names
from reasonrl.verl_backend.exports import complete_checkpoints, discard_incomplete, evaluations_left
from reasonrl.verl_backend.plan import TESTED, VerlPlan, make_plan
from reasonrl.verl_backend.stage import VerlStage
from reasonrl.verl_backend.watch import Watch

if TYPE_CHECKING:
    from reasonrl.runs.console import TrainConsole

INSTALL = (
    "Install it with `pip install '.[verl]'` in the checkout in a separate environment (CPU: make venv-verl), or write"
    " backend: local"
)
LAUNCHES = 3
"""verl is started at most this many times where a port that it chose was taken before it listened."""
_PORT_TAKEN = re.compile(r"EADDRINUSE|address already in use", re.IGNORECASE)
_MESSAGE = re.compile(r"(?:reasonrl\.errors\.\w+|\w*(?:TrainingError|ModelError|DataError|RecipeError)): (.+)")


def check_verl() -> None:
    """Raises RecipeError where verl is not installed, or is another version than the one that this is written
    against.
    """
    if importlib.util.find_spec("verl") is None:
        raise RecipeError(f"backend: verl is not installed here. {INSTALL}")
    version = importlib.metadata.version("verl")
    if version != TESTED:
        raise RecipeError(
            f"backend: verl {version} is installed, but reasonrl uses private hooks that are tested only with"
            f" {TESTED}. Run `pip install verl=={TESTED}`"
        )


def check_gpu_packages(recipe: Recipe) -> None:
    """Raises RecipeError where what verl wants beside itself on GPUs is missing; it would say so minutes later, in a
    worker.
    """
    missing = gpu_packages_left(recipe)
    if missing:
        raise RecipeError(
            f"backend: verl on GPUs needs {' and '.join(missing)}. Run `pip install 'verl[vllm]=={TESTED}' flash-attn`"
        )


def gpu_packages_left(recipe: Recipe) -> list[str]:
    wanted = {"vllm": "vLLM", "flash_attn": "flash attention"} if recipe.verl.platform == "gpu" else {}
    return [what for name, what in wanted.items() if importlib.util.find_spec(name) is None]


def prepare(recipe: Recipe, folder: Path, *, init_from: str, offline: bool) -> tuple[VerlPlan, RunData]:
    """Check data, lengths and settings of a stage; nothing is written but a model that exists nowhere else. Raises
    ReasonRLError.
    """
    parts = make_reward_parts(recipe, make_verifier(recipe))
    verifier = parts[0].verifier
    assert verifier is not None
    data = load_data(recipe, verifier, offline=offline)
    tokenizer, config = load_tokenizer_and_config(init_from, offline=offline)
    if recipe.model.lora is not None:
        refuse_tied_targets(config, recipe.model.lora.target_modules)
    check_model_files(init_from, tokenizer, config, attention=recipe.model.attention, offline=offline)
    longest = check_lengths(recipe, tokenizer, config, data.problems)
    check_prompt_tokens(init_from, tokenizer, config, data.problems)
    check_refining(recipe, tokenizer)
    end_ids = known_end_ids(init_from, tokenizer, config)
    data = replace(data, warnings=[*data.warnings, *template_warnings(recipe, tokenizer, end_ids, data.problems)])
    check_problems(recipe, len(data.train))
    model, parameters = model_for_workers(init_from, folder), count_parameters(config)
    return make_plan(recipe, folder, model, longest_prompt=longest, parameters=parameters), data


def check_problems(recipe: Recipe, available: int) -> None:
    """Raises RecipeError where the `available` problems of data.train are not enough for one step."""
    prompts = recipe.train.prompts_per_step
    if available < prompts:
        raise RecipeError(
            f"train.prompts_per_step: {prompts} is more than the {available} problems of data.train, which verl needs"
            f" for one step. Write at most {available}, or add problems"
        )


def model_for_workers(source: str, folder: Path) -> str:
    """A folder or an id that verl's workers can load."""
    if source in tiny.MODELS:
        return str((folder / "verl" / "model").resolve())
    path = model_source(source, offline=True)
    return str(Path(path).resolve()) if Path(path).is_dir() else path


def run_verl_stage(
    recipe: Recipe,
    folder: Path,
    console: TrainConsole,
    *,
    init_from: str,
    resume: bool,
    offline: bool,
    stop_requested: Callable[[], bool] = lambda: False,
    check_data: Callable[[RunData, int | None], object] = lambda data, step: None,
) -> Path:
    """Run or resume one stage. Returns the newest checkpoint as a Hugging Face folder.

    Raises TrainingError with verl's own reason, and KeyboardInterrupt where the run ended because `stop_requested`.
    """
    done = newest_checkpoint(folder / "checkpoints") if resume else None
    steps = recipe.train.steps
    if done is not None and done.step >= steps and not evaluations_left(folder, recipe, steps):
        console.note(f"{folder} is complete ({done.step} steps)")
        return done.path
    check_verl()
    check_gpu_packages(recipe)
    console.note("loading and checking the data")
    plan, data = prepare(recipe, folder, init_from=init_from, offline=offline)
    for warning in data.warnings:
        console.warn(warning)
    check_data(data, resumed_step(folder, console) if resume else None)
    stage = VerlStage(folder, with_served_names(recipe))
    stage.write({"train": data.train, **{f"heldout.{name}": rows for name, rows in data.heldout.items()}})
    if init_from in tiny.MODELS and not (folder / "verl" / "model" / "config.json").exists():
        language_model = load_model(init_from, seed=recipe.seed, device="cpu", offline=offline)
        language_model.model.save_pretrained(folder / "verl" / "model")
        language_model.tokenizer.save_pretrained(folder / "verl" / "model")
    (stage.shared / "settings.txt").write_text(
        "\n".join(shlex.quote(setting) for setting in plan.settings) + "\n", encoding="utf-8"
    )
    for line in plan.lines:
        console.note(line.strip())
    log = stage.shared / "log.txt"
    discard_incomplete(stage.shared / "checkpoints")
    watch = Watch(folder, log, console, stop_requested)
    run_to_end([sys.executable, "-m", "verl.trainer.main_ppo", *plan.settings], plan.environment, log, watch)
    made_checkpoint = newest_checkpoint(folder / "checkpoints")
    if made_checkpoint is None:
        raise ModelError(f"verl ended without a checkpoint under {folder / 'checkpoints'}; see {log}")
    if made_checkpoint.step < steps:
        if stop_requested():
            raise KeyboardInterrupt
        raise TrainingError(
            f"verl ended after step {made_checkpoint.step} of {steps}; see {log}. Continue with --resume"
        )
    return made_checkpoint.path


def resumed_step(folder: Path, console: TrainConsole) -> int | None:
    """The step that a resumed stage continues from; None where it starts over. Says which newer checkpoints are
    incomplete, and that a stage with rows starts over.
    """
    checkpoints = folder / "verl" / "checkpoints"
    complete = complete_checkpoints(checkpoints)
    step = int(complete[-1].name.rpartition("_")[2]) if complete else None
    then = "starting over" if step is None else f"resuming from step {step}"
    for path in sorted(checkpoints.glob("global_step_*")):
        number = path.name.rpartition("_")[2]
        if path not in complete and number.isdigit() and int(number) > (step or 0):
            console.warn(f"{path} is incomplete (it was not written to its end); {then}")
    if step is None:
        warn_of_start_over(folder, console)
    return step


def run_to_end(command: list[str], environment: dict[str, str], log: Path, watch: Watch) -> None:
    """Run verl, output into `log`. Raises TrainingError with its reason where it fails.

    verl asks the system for free ports and listens on them seconds later; now and then another connection has taken
    one meanwhile. A launch that ends so before its first step has done nothing and is repeated.
    """
    for attempt in range(1, LAUNCHES + 1):
        watch.console.note(f"verl is running; output: {log}")
        log_start = log.stat().st_size if log.exists() else 0  # a resumed run appends
        code = _run(command, environment, log, watch)
        if code == 0:
            return
        why = reason(log, log_start)
        if attempt == LAUNCHES or watch.started or not _PORT_TAKEN.search(why):
            raise TrainingError(
                f"verl ended with {code}: {why}\nThe full log is {log}. Continue from the newest checkpoint with"
                " --resume"
            )
        watch.console.warn(f"another process took a port of verl while it started; launching it again ({why})")


def _run(command: list[str], environment: dict[str, str], log: Path, watch: Callable[[], None]) -> int:
    """Run to the end, all output into `log`, and `watch` meanwhile. Raises KeyboardInterrupt when Ray's processes have
    ended too.
    """
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while True:
                try:
                    code = process.wait(timeout=0.3)
                except subprocess.TimeoutExpired:
                    watch()
                    continue
                watch()
                return code
        except BaseException:
            # a closed terminal too: whatever ends the launch, GPUs are not left with a run that nobody owns
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
            raise


def reason(log: Path, begins: int = 0) -> str:
    """The most telling line of a log after byte `begins`: our own message if there is one, else the last line that
    names an error.
    """
    lines = log.read_bytes()[begins:].decode(errors="replace").splitlines()
    messages = [match.group(1) for line in lines if (match := _MESSAGE.search(line))]
    if messages:
        return messages[-1]
    errors = [line.strip() for line in lines if re.search(r"\b\w*(?:Error|Exception)\b.*:", line)]
    return re.sub(r"^\x1b?\[?.*?\(pid=\d+\)\S*\s*", "", errors[-1]) if errors else "it gave no reason"


def check_settings(plan: VerlPlan) -> str:
    """The plan against the schema of the verl that is installed: every key must be there. Returns a line for the
    plan.
    """
    if importlib.util.find_spec("verl") is None:
        return "verl is not installed here: its settings were not checked against its schema"
    check_verl()
    import verl.trainer
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    path = str(Path(verl.trainer.__file__).parent / "config")
    try:
        with initialize_config_dir(path, version_base=None):
            compose("ppo_trainer", overrides=plan.settings)
    except HydraException as error:
        raise RecipeError(f"verl.settings: verl {TESTED} does not accept this: {error}") from error
    return f"all {len(plan.settings)} settings are known to verl {TESTED}"
