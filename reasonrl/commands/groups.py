"""Groups of commands: `critic`, `data`, `recipes`; and those about verifiers, `verify` and `audit`. Signatures only, as
in `reasonrl.cli`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reasonrl.host.outputs import user_path, user_text
from reasonrl.host.tuning import tune_for_computing

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Offline = Annotated[bool, typer.Option("--offline", help="Do not use the network.")]

MOST = 1_000_000_000
"""No option counts higher: a larger number is a slip."""

AllowChanges = Annotated[
    bool,
    typer.Option(
        "--allow-changes",
        help="With --resume: continue although recipe.yaml, data, weights or code changed. The run records it.",
    ),
]

recipes_app = typer.Typer(help="The recipes that come with reasonrl.", no_args_is_help=True)
data_app = typer.Typer(help="Show and convert problems.", no_args_is_help=True)
critic_app = typer.Typer(help="Train critics and measure them.", no_args_is_help=True)


def verify(
    name: Annotated[
        str,
        typer.Argument(
            help="The verifier: math, math_verify, code, lean, lean_statement, format, reasoning_gym, or"
            " package.module:Class."
        ),
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help='A .jsonl file of rows {"id", "gold", "response"}. "answer" (bare) may replace "response", and'
            ' "reference" (an object, as in the data) may replace "gold" (a bare answer). For code: {"id", "tests",'
            ' "response"}, or "code" (a program), and the other fields of a problem, such as "entry_point".',
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The .jsonl file to write: one verdict for each input row, in order.")
    ] = None,
    gold: Annotated[str | None, typer.Option(help="A reference answer. Judges one answer instead of a file.")] = None,
    reference: Annotated[str | None, typer.Option(help="The complete reference as JSON, instead of --gold.")] = None,
    answer: Annotated[str | None, typer.Option(help="A bare answer to compare with --gold.")] = None,
    response: Annotated[
        str | None, typer.Option(help="A complete response, whose final answer is compared with --gold.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", metavar="key=value", help="Options of the verifier, e.g. pattern=boxed."),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            help="For math and code. lenient (default): a marked answer, or else the last formula or number (code: a"
            " fenced block, or else a response that is source as a whole); strict: a marked answer or a block only;"
            " whole: the response as it stands."
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="key=value",
            help="For math: what counts as equal, e.g. percent=fraction; see docs/verifiers.md.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=256,
            help="Worker processes, for verifiers that use them (math: for sympy; code: programs at one time)."
            " Default: 2.",
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Time limit for one answer in a worker, in seconds. Default: the verifier's (math: 2)."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how the verdict was reached (math: each rule; code: each test).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check answers against references with a verifier."""
    from reasonrl.commands.judging import verifier_options
    from reasonrl.commands.verify import OneAnswer, verify_command

    verify_command(
        name,
        source=source and user_path(source),
        output=output and user_path(output),
        one=OneAnswer(gold, reference, answer, response),
        options=verifier_options(option, mode=mode, policy=policy, workers=workers, timeout_s=timeout),
        explained=explain,
        as_json=as_json,
    )


def audit(
    file: Annotated[
        Path,
        typer.Argument(
            help="Labelled pairs: columns gold (or reference, an object; for code: tests), pred, equivalent"
            " (true/false), form (answer/response)."
        ),
    ],
    verifier: Annotated[
        str,
        typer.Option(
            help="The verifier: math, math_verify, code, lean, lean_statement, format, reasoning_gym, or"
            " package.module:Class."
        ),
    ] = "math",
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="key=value", help="Options of the verifier.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="For math and code: lenient (default), strict or whole.")] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy", metavar="key=value", help="For math: what counts as equal, e.g. rounding_digits=null."
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="A second verifier, e.g. math_verify, or package.module:Class.")
    ] = None,
    against_option: Annotated[
        list[str] | None, typer.Option("--against-option", metavar="key=value", help="Options of the second verifier.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="Use only this many of the first rows.")] = None,
    as_json: Json = False,
) -> None:
    """Measure a verifier on labelled pairs: accuracy with intervals, both kinds of error, slowest cases."""
    from reasonrl.commands.audit import audit_command
    from reasonrl.commands.judging import verifier_options
    from reasonrl.commands.output import key_values

    audit_command(
        user_path(file),
        verifier=verifier,
        options=verifier_options(option, mode=mode, policy=policy),
        against=against,
        against_options=key_values(against_option or [], "--against-option"),
        limit=limit,
        as_json=as_json,
    )


@critic_app.command("train")
def critic_train(
    recipe: Annotated[str, typer.Argument(help="A recipe that trains a critic (see: reasonrl recipes ls).")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key=value ...]", help="Recipe keys to override, and run_dir=FOLDER."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show the plan; train nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run from the stage and step that it reached.")
    ] = False,
    allow_changes: AllowChanges = False,
    offline: Offline = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only warnings and the result.")] = False,
    as_json: Json = False,
) -> None:
    """Train a critic: all stages of a recipe, one after the other."""
    from reasonrl.commands.critic import critic_train_command
    from reasonrl.commands.run_dir import check_run_dir

    pairs = [user_text(pair) for pair in overrides or []]
    if dry_run:
        check_run_dir(pairs, resume=resume)
    else:
        tune_for_computing()
    critic_train_command(
        user_text(recipe),
        pairs,
        dry_run=dry_run,
        resume=resume,
        allow_changes=allow_changes,
        offline=offline,
        quiet=quiet,
        as_json=as_json,
    )


@critic_app.command("eval")
def critic_eval(
    model: Annotated[
        str,
        typer.Argument(help="A run folder, a model, or the address of an OpenAI-compatible server (http://.../v1)."),
    ],
    data: Annotated[
        str | None,
        typer.Option(help="Labelled solutions: rows of ProcessBench, BIG-Bench-Mistake, PRM800K, or of kind critique."),
    ] = None,
    benchmarks: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Or processbench, bigbench_mistake, prm800k, criticbench, from the hub or from a file: NAME=FILE.",
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", help="The critique format. Default: the run's, else boxed_index, which fits ProcessBench."
        ),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="key=value", help="Options of the format.")
    ] = None,
    served_name: Annotated[
        str | None, typer.Option(help="The model's name on the server, if the server has several.")
    ] = None,
    n: Annotated[
        int, typer.Option("--n", min=1, max=MOST, help="Critiques per solution; more than one adds a majority vote.")
    ] = 1,
    temperature: Annotated[float, typer.Option(min=0.0, help="Sampling temperature; 0 is greedy.")] = 0.0,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Token limit of a critique. Default: the run's, else 2048.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Use only this many of the first solutions.")
    ] = None,
    canaries: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST,
            help="Judge empty and forged solutions as well, this many of each kind; a good critic accepts none.",
        ),
    ] = 0,
    output: Annotated[Path | None, typer.Option(help="Folder to write results.json and samples.jsonl into.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the samples.")] = 0,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Measure a critic on labelled solutions, subset by subset, with 95% intervals."""
    tune_for_computing()
    from reasonrl.commands.critic import critic_eval_command
    from reasonrl.commands.output import key_values

    critic_eval_command(
        user_text(model),
        data=data and user_text(data),
        benchmarks=benchmarks and user_text(benchmarks),
        format_name=format_,
        format_options=key_values(option or [], "--option"),
        served_name=served_name,
        n=n,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        limit=limit,
        canaries=canaries,
        output=output and user_path(output),
        seed=seed,
        offline=offline,
        as_json=as_json,
    )


@recipes_app.command("ls")
def recipes_ls(as_json: Json = False) -> None:
    """List the shipped recipes."""
    from reasonrl.commands.recipes import ls_command

    ls_command(as_json=as_json)


@recipes_app.command("cp")
def recipes_cp(
    name: Annotated[str, typer.Argument(help="The name of a shipped recipe (see: reasonrl recipes ls).")],
    target: Annotated[Path | None, typer.Argument(help="The folder to create. Default: ./NAME.")] = None,
    as_json: Json = False,
) -> None:
    """Copy a shipped recipe into a folder, to edit it."""
    from reasonrl.commands.recipes import cp_command

    cp_command(user_text(name), target and user_path(target), as_json=as_json)


@recipes_app.command("keys")
def recipes_keys(
    key: Annotated[str, typer.Argument(help="A key or a section, e.g. train.kl. Default: the top level.")] = "",
    as_json: Json = False,
) -> None:
    """Describe a recipe key: allowed values, default and meaning."""
    from reasonrl.commands.recipes import keys_command

    keys_command(key, as_json=as_json)


@data_app.command("show")
def data_show(
    source: Annotated[
        str,
        typer.Argument(
            help="A file, or any source of a recipe: gsm8k, math, arithmetic, reasoning_gym, org/name, module:function."
        ),
    ],
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="key=value", help="Options of the source.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column", "-c", metavar="ours=theirs", help="Read our field from that column, e.g. -c prompt=question."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="Show only this many of the first problems.")] = 5,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Print the first problems of a source, as reasonrl reads them."""
    from reasonrl.commands.data import show_command

    show_command(user_text(source), option or [], columns or [], limit=limit, offline=offline, as_json=as_json)


@data_app.command("convert")
def data_convert(
    source: Annotated[str, typer.Argument(help="A file, or any source of a recipe.")],
    target: Annotated[Path, typer.Argument(help="The .jsonl or .parquet file to write.")],
    to: Annotated[
        str | None,
        typer.Option(help="Form of the rows: plain, verl or trl. Default: plain for .jsonl, trl for .parquet."),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="key=value", help="Options of the source.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", "-c", metavar="ours=theirs", help="Read our field from that column."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="Use only this many of the first rows.")] = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Convert problems without loss, to and from verl's parquet rows and TRL's columns."""
    from reasonrl.commands.data import convert_command

    convert_command(
        user_text(source),
        user_path(target),
        to,
        option or [],
        columns or [],
        limit=limit,
        offline=offline,
        as_json=as_json,
    )
