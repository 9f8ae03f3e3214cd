"""Commands about models in use: `serve` and `refine`. Signatures only, as in `reasonrl.cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from reasonrl.commands.groups import MOST, Json, Offline, critic_app
from reasonrl.host.outputs import user_path, user_text
from reasonrl.host.tuning import tune_for_computing

Critic = Annotated[
    str,
    typer.Option(help="The critic: a run folder, a folder of weights, a model, or an address such as http://.../v1."),
]
Actor = Annotated[
    str | None,
    typer.Option(help="Who solves, as for --critic. Default: the actor of the critic's run, else the critic's model."),
]
CriticRun = Annotated[
    str | None,
    typer.Option(help="The run that trained a critic at an address: it is asked as it was trained (format, limits)."),
]
Format = Annotated[str | None, typer.Option(help="The critique format. Default: the run's, else boxed_index.")]
FormatOptions = Annotated[
    list[str] | None, typer.Option("--option", "-o", metavar="key=value", help="Options of the format.")
]
Temperature = Annotated[float, typer.Option(min=0, max=2, help="Of the actor, where a request says none.")]
CriticTemperature = Annotated[float, typer.Option(min=0, max=2, help="Of the critic; 0 is greedy.")]
Engine = Annotated[
    str | None,
    typer.Option(
        metavar="hf|vllm",
        help="What computes models that are no addresses. Default: what the critic's run sampled with.",
    ),
]
Limit = Annotated[
    int | None, typer.Option(min=1, max=MOST, help="Tokens of a solution. Default: the actor's of the run, else 1024.")
]


def serve(
    critic: Critic,
    critic_run: CriticRun = None,
    actor: Actor = None,
    host: Annotated[str, typer.Option(help="Other than 127.0.0.1 only with a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
    api_key_file: Annotated[
        Path | None, typer.Option(help="A file with a client's key in each line. Or set REASONRL_API_KEY.")
    ] = None,
    critic_name: Annotated[str | None, typer.Option(help="The critic's name for clients.")] = None,
    actor_name: Annotated[str | None, typer.Option(help="The actor's name for clients.")] = None,
    format: Format = None,
    option: FormatOptions = None,
    temperature: Temperature = 0.7,
    critic_temperature: CriticTemperature = 0.0,
    max_new_tokens: Limit = None,
    engine: Engine = None,
    critic_served_name: Annotated[
        str | None, typer.Option(help="The model on the critic's server, if that has several.")
    ] = None,
    actor_served_name: Annotated[str | None, typer.Option(help="The same of the actor's server.")] = None,
    verify: Annotated[
        str,
        typer.Option(metavar="KINDS", help="What /v1/verify judges: math, code, lean. Code runs in the sandbox."),
    ] = "math",
    lean: Annotated[
        str,
        typer.Option(
            metavar="FOLDER|ADDRESS",
            help="Of --verify lean: a Lean project, or a Kimina server. Without it, the kernel alone (docs/lean.md).",
        ),
    ] = "",
    most_requests: Annotated[
        int, typer.Option(min=1, max=100_000, help="Requests under way; more are sent away with Retry-After.")
    ] = 256,
    grace: Annotated[
        int,
        typer.Option(
            min=1, max=3600, help="Seconds after SIGTERM. A strategy that takes longer answers with its best draft."
        ),
    ] = 25,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another name by which this server is asked, as by a router before it.")
    ] = None,
    reward_tokenizer: Annotated[
        str | None,
        typer.Option(help="The model whose chat template /classify reads its inputs with. Default: the critic's."),
    ] = None,
    reward_template: Annotated[
        Path | None,
        typer.Option(help="A file with {problem} and {solution}: how a prompt for the critic holds both."),
    ] = None,
    boxed_name: Annotated[
        str | None, typer.Option(help="Of the model whose replies end in a box. Default: boxed-CRITIC.")
    ] = None,
    reward_critiques: Annotated[
        int, typer.Option(min=1, max=64, help="Critiques for one reward; more than 1 need --critic-temperature.")
    ] = 1,
    unread_reward: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="What /classify gives where no critique can be read. Default: an error."),
    ] = None,
    offline: Offline = False,
) -> None:
    """Serve a critic and an actor over HTTP: OpenAI's chat completions, critiques, refinement, and a page to try it."""
    tune_for_computing()
    from reasonrl.commands.serve import Rewards, ServedModels, keys_of, serve_command

    serve_command(
        ServedModels(
            critic=user_text(critic),
            critic_run=critic_run and str(user_path(critic_run)),
            actor=actor and user_text(actor),
            critic_name=critic_name and user_text(critic_name),
            actor_name=actor_name and user_text(actor_name),
            format_name=format and user_text(format),
            format_options=_options(option),
            temperature=temperature,
            critic_temperature=critic_temperature,
            max_new_tokens=max_new_tokens,
            engine=engine and user_text(engine),
            offline=offline,
            most_requests=most_requests,
            remote_names=(
                critic_served_name and user_text(critic_served_name),
                actor_served_name and user_text(actor_served_name),
            ),
        ),
        host=user_text(host),
        port=port,
        api_keys=keys_of(api_key_file and user_path(api_key_file)),
        verify=[kind.strip() for kind in user_text(verify).split(",") if kind.strip()],
        lean=user_text(lean),
        rewards=Rewards(
            tokenizer=reward_tokenizer and user_text(reward_tokenizer),
            template=reward_template and user_path(reward_template),
            critiques=reward_critiques,
            unread=unread_reward,
            boxed_name=boxed_name and user_text(boxed_name),
        ),
        hosts=[user_text(name).strip().lower() for name in allow_host or []],
        grace_s=grace,
    )


def refine(
    problem: Annotated[str, typer.Argument(help="The problem.")],
    critic: Critic,
    critic_run: CriticRun = None,
    actor: Actor = None,
    strategy: Annotated[
        str,
        typer.Option(
            help="single, majority, refine, filtered_vote, weighted_vote, best_of_n, regenerate, step_search or panel."
        ),
    ] = "refine",
    rounds: Annotated[int | None, typer.Option(min=1, max=64, help="Of refine and panel.")] = None,
    samples: Annotated[int | None, typer.Option(min=1, max=64, help="Drafts of a vote or of best_of_n.")] = None,
    critiques: Annotated[int | None, typer.Option(min=1, max=64, help="Critiques of each draft.")] = None,
    tries: Annotated[int | None, typer.Option(min=1, max=64, help="Of regenerate and step_search.")] = None,
    budget_tokens: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="The most tokens that all calls may write.")
    ] = None,
    deadline: Annotated[float | None, typer.Option(min=0.001, help="Seconds; then the best answer so far.")] = None,
    format: Format = None,
    option: FormatOptions = None,
    temperature: Temperature = 0.7,
    critic_temperature: CriticTemperature = 0.0,
    max_new_tokens: Limit = None,
    engine: Engine = None,
    seed: Annotated[int, typer.Option(help="Random seed of all calls.")] = 0,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Solve one problem with a critic's help: by refinement, by votes, or by drawing again."""
    tune_for_computing()
    from reasonrl.commands.serve import ServedModels, refine_command

    counts: dict[str, Any] = {"rounds": rounds, "samples": samples, "critiques": critiques, "tries": tries}
    refine_command(
        ServedModels(
            critic=user_text(critic),
            critic_run=critic_run and str(user_path(critic_run)),
            actor=actor and user_text(actor),
            format_name=format and user_text(format),
            format_options=_options(option),
            temperature=temperature,
            critic_temperature=critic_temperature,
            max_new_tokens=max_new_tokens,
            engine=engine and user_text(engine),
            offline=offline,
        ),
        user_text(problem),
        strategy=user_text(strategy),
        options={name: value for name, value in counts.items() if value is not None},
        budget_tokens=budget_tokens,
        deadline_s=deadline,
        seed=seed,
        as_json=as_json,
    )


def _options(pairs: list[str] | None) -> dict[str, Any]:
    from reasonrl.commands.output import key_values

    return key_values([user_text(pair) for pair in pairs or []], "--option")


@critic_app.command(name="strategies")
def strategies(
    critic: Annotated[str, typer.Argument(help="A run folder, a folder of weights, a model, or an address.")],
    data: Annotated[str, typer.Option(help="Problems with answers: a file, or any source of a recipe.")],
    critic_run: CriticRun = None,
    actor: Actor = None,
    strategies: Annotated[
        str, typer.Option(metavar="NAMES", help="Such as refine,filtered_vote. Default: all that use the critic.")
    ] = "",
    samples: Annotated[int, typer.Option(min=1, max=64, help="Drafts of votes, of best_of_n and of regenerate.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, max=64, help="Of refine, step_search and panel.")] = 3,
    format: Format = None,
    option: FormatOptions = None,
    temperature: Temperature = 0.7,
    critic_temperature: CriticTemperature = 0.0,
    max_new_tokens: Limit = None,
    engine: Engine = None,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="Use only the first problems.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder to write results.json and samples.jsonl into.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed of all calls.")] = 0,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Which strategy is worth its tokens: each against a plain majority vote that may spend as much."""
    tune_for_computing()
    from reasonrl.commands.serve import ServedModels
    from reasonrl.commands.strategies import strategies_command

    strategies_command(
        ServedModels(
            critic=user_text(critic),
            critic_run=critic_run and str(user_path(critic_run)),
            actor=actor and user_text(actor),
            format_name=format and user_text(format),
            format_options=_options(option),
            temperature=temperature,
            critic_temperature=critic_temperature,
            max_new_tokens=max_new_tokens,
            engine=engine and user_text(engine),
            offline=offline,
        ),
        user_text(data),
        names=[name.strip() for name in user_text(strategies).split(",") if name.strip()],
        samples=samples,
        rounds=rounds,
        limit=limit,
        seed=seed,
        output=output and user_path(output),
        as_json=as_json,
    )
