"""`reasonrl train`."""

from __future__ import annotations

import sys
from pathlib import Path

from reasonrl.commands.output import emit
from reasonrl.host.outputs import check_folder
from reasonrl.recipe.reading import load_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.folder import require_run, run_dir_for


def train_command(
    recipe: str,
    overrides: list[str],
    *,
    dry_run: bool,
    resume: bool,
    offline: bool,
    quiet: bool,
    as_json: bool,
    allow_changes: bool = False,
) -> None:
    run_dirs = [o.partition("=")[2] for o in overrides if o.startswith("run_dir=")]
    loaded = load_recipe(recipe, [o for o in overrides if not o.startswith("run_dir=")])
    given = Path(run_dirs[-1]) if run_dirs else None
    if dry_run:
        from reasonrl.plan.preflight import preflight
        from reasonrl.plan.text import plan_text

        resumed: Path | None = None
        if resume:
            with run_dir_for(given, loaded.name, loaded.source, resume=True) as resumed:
                require_run(resumed)
                check_folder(resumed, "run_dir")
        plan = preflight(
            loaded, offline=offline, backends={"verl": _verl_plan}, resumed=resumed, allow_changes=allow_changes
        )
        emit(as_json, plan.to_dict(), plan_text(plan))
        return
    from reasonrl.commands.backends import BACKENDS
    from reasonrl.stages.run import train

    with run_dir_for(given, loaded.name, loaded.source, resume=resume) as run_dir:
        try:
            result = train(
                loaded,
                run_dir,
                resume=resume,
                offline=offline,
                quiet=quiet or as_json,
                backends=BACKENDS,
                allow_changes=allow_changes,
            )
        except KeyboardInterrupt:
            print(f"stopped. Continue with: reasonrl train {run_dir} --resume", file=sys.stderr)
            raise
    if as_json:
        emit(True, {"run_dir": str(result.run_dir), "model": _text(result.model), "report": _text(result.report)}, "")


def _verl_plan(recipe: Recipe, model: str, longest: int, parameters: int, problems: int) -> list[str]:
    from reasonrl.verl_backend.launch import check_problems, check_settings, gpu_packages_left
    from reasonrl.verl_backend.plan import make_plan

    if problems:
        check_problems(recipe, problems)
    plan = make_plan(recipe, Path("runs") / recipe.name, model, longest_prompt=longest, parameters=parameters)
    packages = gpu_packages_left(recipe)
    missing = [f"  not installed   {' and '.join(packages)}: a launch needs them"] if packages else []
    return [*plan.lines, f"  checked         {check_settings(plan)}", *missing]


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None
