"""The command line. Signatures only: each command imports what it needs when it is called, so `reasonrl --help` stays
quick.
"""

from __future__ import annotations

import gc
import os
import shlex
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from reasonrl._installation import installation_facts
from reasonrl.commands.groups import MOST, AllowChanges, Json, Offline, audit, critic_app, data_app, recipes_app, verify
from reasonrl.commands.serving_group import refine, serve
from reasonrl.errors import ReasonRLError
from reasonrl.host.homes import ensure_home
from reasonrl.host.outputs import as_os_error, is_users_mistake, memory_error_text, os_error_text, user_path, user_text
from reasonrl.host.terminal import lasting_streams, lost_output, print_json
from reasonrl.host.tuning import tune_for_computing
from verifiers.errors import PoolError

NARROWEST = 20
"""Columns of a terminal below which COLUMNS is not believed."""

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of SIGINT."""

app = typer.Typer(
    name="reasonrl",
    help="Train reasoning models with critics and verifiable rewards, from one CPU to a cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(recipes_app, name="recipes")
app.add_typer(critic_app, name="critic")
app.add_typer(data_app, name="data")
app.command()(verify)
app.command()(audit)
app.command()(serve)
app.command()(refine)


@app.callback()
def _root() -> None:
    from reasonrl._installation import check_verifiers

    check_verifiers()


@app.command()
def train(
    recipe: Annotated[
        str,
        typer.Argument(help="A shipped recipe (see: reasonrl recipes ls), a .yaml file, or a folder with recipe.yaml."),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[key=value ...]", help="Recipe keys to override, e.g. train.steps=20, and run_dir=FOLDER."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, show the first prompts and the plan; train nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run from its newest complete checkpoint.")
    ] = False,
    allow_changes: AllowChanges = False,
    offline: Offline = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only warnings and the result.")] = False,
    as_json: Json = False,
) -> None:
    """Train a model with a recipe."""
    from reasonrl.commands.run_dir import check_run_dir
    from reasonrl.commands.train import train_command

    pairs = [user_text(pair) for pair in overrides or []]
    if dry_run:
        check_run_dir(pairs, resume=resume)
    else:
        tune_for_computing()
    train_command(
        user_text(recipe),
        pairs,
        dry_run=dry_run,
        resume=resume,
        allow_changes=allow_changes,
        offline=offline,
        quiet=quiet,
        as_json=as_json,
    )


@app.command(name="eval")
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="A model (Hugging Face id, folder, embedded model), or a run folder (its last checkpoint)."
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(help="Problems: a file, or any source of a recipe. Default for a run: its held-out sets."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="The recipe for prompt, verifier and sampling. Default: the run's own.")
    ] = None,
    benchmarks: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Published benchmarks, such as gsm8k,math500, each from the hub or from a file: NAME=FILE.",
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "--n", min=0, max=MOST, help="Samples per problem; 0: greedy only. Default: 4, of a benchmark 1, greedy."
        ),
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Sampling temperature. Default: the recipe's.")] = None,
    top_p: Annotated[float, typer.Option(help="Of benchmarks: the share of probability that is drawn from.")] = 1.0,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Of benchmarks: tokens of an answer. Default: the benchmark's.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Of benchmarks: a variant of the prompt, such as boxed or 4shot.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Use only this many of the first problems.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder to write results.json and samples.jsonl into.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="key=value", help="Override recipe keys.")] = None,
    served_name: Annotated[
        str | None,
        typer.Option(help="Of benchmarks: the model that a server at MODEL is to use. Default: its only one."),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=4096, help="Of benchmarks: requests to a server at one time.")
    ] = 64,
    known_errors: Annotated[
        str,
        typer.Option(metavar="count|exclude|mend", help="Of benchmarks: problems that are known to be judged wrongly."),
    ] = "count",
    selfcheck: Annotated[
        bool, typer.Option("--selfcheck", help="Of benchmarks: compare with scores that others report of this model.")
    ] = False,
    controls: Annotated[
        bool,
        typer.Option(
            "--controls",
            help="For critics: also refine on empty, shuffled and indicative critiques, as baselines.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Random seed of the samples.")] = 0,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Measure the accuracy of a model on problems or benchmarks, greedy and sampled, with 95% intervals."""
    tune_for_computing()
    if benchmarks is not None:
        from reasonrl.commands.benchmarks import benchmarks_command, refuse_with_benchmarks
        from reasonrl.setup.benchmarks import AnswerSettings

        refuse_with_benchmarks({"--data": data, "--recipe": recipe, "--controls": controls})
        settings = AnswerSettings(
            1 if n is None else n, temperature or 0.0, top_p, 0, max_new_tokens, prompt and user_text(prompt), seed
        )
        benchmarks_command(
            user_text(model),
            user_text(benchmarks),
            settings,
            limit=limit,
            output=output and user_path(output),
            overrides=[user_text(pair) for pair in set_ or []],
            offline=offline,
            as_json=as_json,
            known_errors=user_text(known_errors),
            selfcheck=selfcheck,
            served={"name": served_name and user_text(served_name), "concurrency": concurrency},
        )
        return
    from reasonrl.commands.evaluate import eval_command

    eval_command(
        user_text(model),
        data=data and user_text(data),
        recipe=recipe and user_text(recipe),
        n=4 if n is None else n,
        temperature=temperature,
        limit=limit,
        output=output and user_path(output),
        overrides=[user_text(pair) for pair in set_ or []],
        seed=seed,
        offline=offline,
        as_json=as_json,
        controls=controls,
    )


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="A folder written by `reasonrl eval --output`, or a run folder.")],
    b: Annotated[list[Path], typer.Argument(help="The folders to compare it with, each by itself.")],
    as_json: Json = False,
) -> None:
    """Is B better than A? Shows the paired difference on the same problems, with its 95% interval. With several B,
    p-values are corrected for their number."""
    from reasonrl.commands.inspect import compare_command

    compare_command(user_path(a), [user_path(path) for path in b], as_json=as_json)


@app.command()
def view(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER",
            help="A run folder, or up to 8 that `reasonrl eval --output` or `reasonrl critic eval --output` wrote.",
        ),
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 picks a free one.")] = 7860,
    as_json: Json = False,
) -> None:
    """Show samples and curves of a run, or scores and answers of evaluations side by side, of models or of critics, in
    the browser, on 127.0.0.1. Evaluations that are still going on are shown as far as they are."""
    from reasonrl.commands.inspect import view_command

    view_command([user_path(folder) for folder in folders], port=port, as_json=as_json)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="A run folder.")], as_json: Json = False) -> None:
    """Write the report of a run, finished or not, as report.html in its folder."""
    from reasonrl.commands.inspect import report_command

    report_command(user_path(run), as_json=as_json)


@app.command()
def replay(
    run: Annotated[Path, typer.Argument(help="A run folder, or a file with traces of `serve` or `refine`.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[key=value ...]", help="Recipe keys to override; of traces, such as strategy=majority samples=4."
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Of traces: the right answer, where their rows have none as `gold`.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="The .jsonl file to write: the samples with their new rewards and advantages, or the traces."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute what a saved run, or the trace of a strategy, gives with other settings. Needs no model."""
    from reasonrl.commands.replay import replay_command

    replay_command(
        user_path(run),
        [user_text(pair) for pair in overrides or []],
        reference=reference and user_text(reference),
        output=output and user_path(output),
        as_json=as_json,
    )


@app.command()
def export(
    source: Annotated[
        Path, typer.Argument(help="A run, a stage of one, a checkpoint, or a checkpoint of verl (global_step_N).")
    ],
    target: Annotated[Path, typer.Argument(help="The folder to write; it must not exist.")],
    dtype: Annotated[
        Literal["float32", "bfloat16"] | None, typer.Option(help="Data type of the weights. Default: as saved.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Export weights as a Hugging Face folder; shards and adapters are merged."""
    from reasonrl.commands.export import export_command

    export_command(user_path(source), user_path(target), dtype=dtype, as_json=as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check this environment: what is installed, what is missing, and how to fix it."""
    from reasonrl.commands.doctor import doctor_command

    doctor_command(as_json=as_json)


def main() -> None:
    """Exit codes: 0 done, 1 failed, 2 bad usage or bad recipe, 130 interrupted. A user's mistake and a machine's fault
    never show a traceback.
    """
    # Imports make objects by the hundred thousand that live on. To look through them for garbage after every 700 took
    # 12% of the time until a run starts.
    gc.set_threshold(10_000)
    wants_json = "--json" in sys.argv
    _drop_useless_width()
    with lasting_streams(results_only=wants_json):
        code = _exit_code(wants_json)
        lost = lost_output()
        if lost is not None:
            print(f"error: the result could not be printed: {lost.strerror}", file=sys.stderr)
            code = code or 1
    sys.exit(code)


def _drop_useless_width() -> None:
    """Some terminals set COLUMNS=0, and rich then prints tables that are empty or have one letter a line."""
    columns = os.environ.get("COLUMNS", "")
    if not columns.isdecimal() or int(columns) < NARROWEST:
        os.environ.pop("COLUMNS", None)


def _exit_code(wants_json: bool) -> int:
    # Typer may bring its own copy of click or use the one that is installed: its public exceptions lead to the right
    # classes.
    usage_error: type[Any] = typer.BadParameter.__mro__[1]
    try:
        ensure_home()
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # newer versions of typer return it, older ones raise Abort
            _fail("interrupted", wants_json)
        return code if isinstance(code, int) else 0
    except typer.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer takes any for one of standard output
            return _unexpected(stop.__context__, wants_json)
        raise
    except usage_error as error:
        if wants_json:
            _fail(error.format_message(), wants_json)
        else:
            error.show()
        return 2
    except ReasonRLError as error:
        _fail(str(error), wants_json)
        return error.exit_code
    except PoolError as error:
        _fail(f"the verifier: {error}", wants_json)
        return 1
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", wants_json)
        return INTERRUPTED
    except Exception as error:
        return _unexpected(error, wants_json)


def _unexpected(error: Exception, wants_json: bool) -> int:
    """One message for what the machine is to blame for; the traceback and how to report it for a fault of ours."""
    os_error = as_os_error(error)
    text = memory_error_text(error) if os_error is None else os_error_text(os_error)
    if text is not None:
        _fail(text, wants_json)
        return 2 if os_error is not None and is_users_mistake(os_error) else 1
    traceback.print_exception(error, file=sys.stderr)
    words = " ".join(str(error).split())
    _fail(
        f"{type(error).__name__}: {words}{'' if words.endswith(('.', '!', '?')) else '.'} reasonrl did not expect this,"
        " which is a fault of reasonrl. Please report it with the traceback on standard error and these facts:"
        f" {installation_facts()}; command: {shlex.join(['reasonrl', *sys.argv[1:]])}",
        wants_json,
    )
    return 1


def _fail(message: str, wants_json: bool) -> None:
    if wants_json:
        print_json({"error": message})
    else:
        print(f"error: {message}", file=sys.stderr)


if __name__ == "__main__":
    main()
