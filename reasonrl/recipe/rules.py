"""Settings of a recipe that do not fit together: a function for each rule, which yields the mistakes it finds.

No rule knows an advantage or a loss by its name: `reasonrl.algorithms.catalogue` says what each of them is. A new rule
is a function and its line in RULES. A rule names in `depends_on` the other keys that it reads: where one of them is
wrong itself, its mistake is not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from reasonrl.algorithms.catalogue import ADVANTAGES, LOSSES
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.mistakes import Mistake, MistakesError, Place, place
from reasonrl.recipe.plain_values import check_name
from reasonrl.recipe.rollout import SINGLE_TURN, VllmSpec
from reasonrl.recipe.settings import StageSettings
from reasonrl.recipe.training import TrainSpec

Rule = Callable[[StageSettings], Iterator[Mistake]]

ADVANTAGE, LOSS, CREDIT = place("train.advantage"), place("train.loss"), place("train.credit")
CORRECTNESS, REFINEMENTS = place("reward.correctness"), place("critique_grpo")

JUDGES = ("verifier", "function", "critic")
TOOL_REWARDS = "reasonrl.rewards.tools:"
VLLM_TEMPERATURE = 0.01
"""vLLM raises smaller ones to this, and says so in its log alone (`SamplingParams`)."""


def problems_have_a_source(recipe: StageSettings) -> Iterator[Mistake]:
    if not recipe.data.train_sources:
        text = "missing; write where the problems come from, e.g. train: {source: problems.jsonl}"
        yield Mistake(place("data.train"), text)


def reward_parts_name_what_judges_them(recipe: StageSettings) -> Iterator[Mistake]:
    for name, part in recipe.reward.items():
        section: Place = ("reward", name)
        judges = [key for key in JUDGES if getattr(part, key)]
        if name == "correctness" and judges:
            text = "correctness is judged by the recipe's `verifier`; give this part another name"
            yield Mistake((*section, judges[0]), text)
        if name != "correctness" and len(judges) != 1:
            text = f"needs a verifier, a function or a critic, one of them; has {' and '.join(judges) or 'none'}"
            yield Mistake(section, text, tuple((*section, key) for key in JUDGES))


def parts_and_sets_have_plain_names(recipe: StageSettings) -> Iterator[Mistake]:
    names = [("reward", name, "a part of the reward") for name in recipe.reward]
    names += [("data.heldout", name, "a held-out set") for name in recipe.data.heldout]
    for section, name, what in names:
        try:
            check_name(name, what)
        except MistakesError as error:
            yield from (mistake.inside((*place(section), name)) for mistake in error.mistakes)


def correctness_is_a_part(recipe: StageSettings) -> Iterator[Mistake]:
    if "correctness" not in recipe.reward:
        text = "missing; the reported accuracy comes from it. Write correctness: 1.0 (0 is allowed)"
        yield Mistake(CORRECTNESS, text)
    elif recipe.critic is not None and recipe.reward["correctness"].weight != 1.0:
        text = "the section critic sets the reward of a critic's judgement; leave this out"
        yield Mistake(CORRECTNESS, text, (place("critic"),))


def some_part_counts(recipe: StageSettings) -> Iterator[Mistake]:
    counts = "correctness" not in recipe.reward or any(part.weight for part in recipe.reward.values())
    if recipe.kind == "rl" and recipe.critic is None and not counts:
        text = "every part has the weight 0, so every reward is 0 and nothing is learned; give one part a weight"
        yield Mistake(place("reward"), text, (place("kind"), place("critic"), CORRECTNESS))


def tool_rewards_stay_below_correctness(recipe: StageSettings) -> Iterator[Mistake]:
    """Each of these parts is bounded by 1, so a right answer earns more than any wrong one if this holds."""
    parts = {name: part for name, part in recipe.reward.items() if (part.function or "").startswith(TOOL_REWARDS)}
    total, correctness = sum(abs(part.weight) for part in parts.values()), recipe.reward.get("correctness")
    if parts and correctness is not None and total >= correctness.weight:
        text = (
            f"the parts for calls of tools ({', '.join(parts)}) weigh {total:g} together, so a wrong answer could earn"
            f" more than a right one; write less than the weight of correctness ({correctness.weight:g})"
        )
        yield Mistake(("reward", next(iter(parts)), "weight"), text, (CORRECTNESS,))


def reviewers_can_judge(recipe: StageSettings) -> Iterator[Mistake]:
    for name, part in recipe.reward.items():
        if (reviewer := part.critic) is None:
            continue
        section: Place = ("reward", name, "critic")
        if recipe.kind != "rl":
            text = f"a critic judges the rollouts of stages of kind rl, and this is one of kind {recipe.kind}"
            yield Mistake(section, f"{text}; leave it out", (place("kind"),))
        elif recipe.critic is not None:
            text = "this stage trains a critic, whose reward the section critic sets; leave this out"
            yield Mistake(section, text, (place("critic"),))
        elif recipe.critique_grpo is not None:
            text = "refinements of critique_grpo are not judged by a critic; leave out one of both"
            yield Mistake(section, text, (REFINEMENTS,))
        if reviewer.format is None and (reviewer.served or reviewer.model == "same"):
            text = "missing; nothing says how this critic writes. Write e.g. format: boxed_index (docs/critics.md)"
            yield Mistake((*section, "format"), text, ((*section, "model"),))
        if reviewer.samples > 1 and reviewer.temperature == 0:
            text = f"{reviewer.samples} greedy critiques are all the same; write temperature: 0.7, or samples: 1"
            yield Mistake((*section, "samples"), text, ((*section, "temperature"),))


def rollouts_can_be_compared(recipe: StageSettings) -> Iterator[Mistake]:
    compares_in_group = (
        ADVANTAGES[recipe.train.advantage].baseline == "group"
        or LOSSES[recipe.train.loss].level == "group"
        or recipe.train.drops_silent_groups
        or recipe.train.credit != "none"
    )
    if recipe.kind == "rl" and recipe.rollout.rollouts_per_prompt < 2 and compares_in_group:
        text = "1 leaves nothing to compare a rollout with; write 2 or more (8 is usual)"
        yield Mistake(place("rollout.rollouts_per_prompt"), text, (place("kind"), ADVANTAGE, LOSS, CREDIT))


def updates_hold_whole_groups(recipe: StageSettings) -> Iterator[Mistake]:
    updates, prompts = recipe.train.updates_per_step, recipe.train.prompts_per_step
    if updates > prompts:
        text = f"{prompts} prompts_per_step cannot be split into {updates} updates; write at most {prompts}"
        yield Mistake(place("train.updates_per_step"), text, (place("train.prompts_per_step"),))


def budget_can_be_met(recipe: StageSettings) -> Iterator[Mistake]:
    budget, mean = recipe.budget, recipe.rollout.rollouts_per_prompt
    if budget.name == "knapsack" and recipe.kind == "rl" and not budget.low <= mean <= budget.high:
        text = (
            f"rollout.rollouts_per_prompt ({mean}) is the mean, so it must be between budget.low ({budget.low}) and"
            f" budget.high ({budget.high})"
        )
        yield Mistake(place("budget"), text, (place("rollout.rollouts_per_prompt"), place("kind")))


def overlong_spares_short_responses(recipe: StageSettings) -> Iterator[Mistake]:
    overlong, longest = recipe.train.overlong, recipe.rollout.response_limit
    if overlong is not None and overlong.buffer_tokens > longest:
        text = (
            f"{overlong.buffer_tokens} is more than the longest response ({longest} tokens); even an empty response"
            f" would be punished. Write at most {longest}"
        )
        yield Mistake(place("train.overlong.buffer_tokens"), text, (place("rollout.max_new_tokens"),))


def vllm_is_the_engine(recipe: StageSettings) -> Iterator[Mistake]:
    engine = recipe.rollout.engine
    if recipe.rollout.vllm != VllmSpec() and engine != "vllm":
        text = f"the engine is {engine}; write rollout.engine: vllm, or leave this out"
        yield Mistake(place("rollout.vllm"), text, (place("rollout.engine"),))


def vllm_samples_at_the_temperature(recipe: StageSettings) -> Iterator[Mistake]:
    by_vllm = recipe.verl.platform == "gpu" if recipe.backend == "verl" else recipe.rollout.engine == "vllm"
    temperatures = {
        "rollout.temperature": recipe.rollout.temperature,
        "evaluation.temperature": recipe.evaluation.temperature,
        "collect.temperature": recipe.collect.temperature,
    }
    for key, temperature in temperatures.items():
        if by_vllm and temperature is not None and temperature < VLLM_TEMPERATURE:
            text = (
                f"vLLM would sample at {VLLM_TEMPERATURE} instead of {temperature:g}; write {VLLM_TEMPERATURE} or more"
            )
            yield Mistake(place(key), text, (place("rollout.engine"), place("backend"), place("verl")))


def single_responses_come_from_single_turns(recipe: StageSettings) -> Iterator[Mistake]:
    environment = recipe.rollout.environment.name
    takes_single = {"kind: collect": recipe.kind == "collect", "critique_grpo": recipe.critique_grpo is not None}
    for section in (name for name, holds in takes_single.items() if environment != SINGLE_TURN and holds):
        text = f"{section} needs single responses, not episodes of {environment}; write {SINGLE_TURN}"
        yield Mistake(place("rollout.environment"), text, (place(section.partition(":")[0]),))


def token_credit_reaches_the_loss(recipe: StageSettings) -> Iterator[Mistake]:
    credit, loss = recipe.train.credit, recipe.train.loss
    if credit != "none" and LOSSES[loss].level != "token":
        per_token = alternatives(name for name, facts in LOSSES.items() if facts.level == "token")
        text = (
            f"{loss} averages over a response, so the credit of tokens (train.credit: {credit}) would be lost;"
            f" write {per_token}, or credit: none"
        )
        yield Mistake(LOSS, text, (CREDIT,))


def credit_fits_the_advantage(recipe: StageSettings) -> Iterator[Mistake]:
    credit, advantage = recipe.train.credit, recipe.train.advantage
    if credit != "none" and not ADVANTAGES[advantage].tree_term:
        with_baseline = alternatives(name for name, facts in ADVANTAGES.items() if facts.tree_term)
        text = f"{credit} needs a group baseline, which advantage: {advantage} lacks; write advantage: {with_baseline}"
        yield Mistake(CREDIT, text, (ADVANTAGE,))


def predictions_have_a_source(recipe: StageSettings) -> Iterator[Mistake]:
    advantage = recipe.train.advantage
    if "predictions" in ADVANTAGES[advantage].needs and recipe.rate_source == "history":
        text = f"advantage: {advantage} needs a prediction before the rollouts; write value or blend"
        yield Mistake(place("success_rates.source"), text, (ADVANTAGE,))


def shaped_rewards_are_looked_at(recipe: StageSettings) -> Iterator[Mistake]:
    train = recipe.train
    effects = {
        "train.unlikeliness": "shapes the reward" if train.unlikeliness is not None else "",
        "train.overlong": "shapes the reward" if train.overlong is not None else "",
        "train.kl.where": "a penalty in the reward shapes it" if train.kl.in_reward else "",
    }
    for key, effect in effects.items():
        if effect and LOSSES[train.loss].level == "group":
            yield Mistake(place(key), f"{effect}, which loss: {train.loss} ignores; leave it out", (LOSS,))
        elif effect and (reason := ADVANTAGES[train.advantage].ignores_shaping):
            yield Mistake(
                place(key), f"{effect} as a whole, but advantage: {train.advantage} {reason}", (ADVANTAGE, LOSS)
            )


def selected_advantages_are_looked_at(recipe: StageSettings) -> Iterator[Mistake]:
    train = recipe.train
    for key in ("clip_advantages", "d3s"):
        if getattr(train, key) is not None and LOSSES[train.loss].level == "group":
            text = f"changes advantages, which loss: {train.loss} ignores; leave it out"
            yield Mistake(("train", key), text, (LOSS,))


def aggregation_fits_the_loss(recipe: StageSettings) -> Iterator[Mistake]:
    loss, aggregation = recipe.train.loss, recipe.train.loss_aggregation
    facts = LOSSES[loss]
    if facts.level != "token" and aggregation not in (None, facts.aggregation):
        text = (
            f"{loss} gives one number per response, and {aggregation} would weigh responses by length; write"
            f" {facts.aggregation}, or leave it out"
        )
        yield Mistake(place("train.loss_aggregation"), text, (LOSS,))


def the_loss_takes_its_settings(recipe: StageSettings) -> Iterator[Mistake]:
    train = recipe.train
    for key in ("clip_low", "clip_high", "dual_clip", "mirror_beta"):
        is_set = getattr(train, key) != TrainSpec.model_fields[key].default
        if is_set and key not in LOSSES[train.loss].takes:
            losses = alternatives(name for name, facts in LOSSES.items() if key in facts.takes)
            yield Mistake(
                ("train", key), f"loss: {train.loss} has no {key}; leave it out, or write loss: {losses}", (LOSS,)
            )


def decay_leaves_weights(recipe: StageSettings) -> Iterator[Mistake]:
    lr, decay = recipe.optim.lr, recipe.optim.weight_decay
    if KINDS[recipe.kind].trains and lr * decay >= 1:
        text = (
            f"{decay:g} times lr ({lr:g}) is 1 or more, so each step takes away all of a weight; write less than 1/lr"
        )
        yield Mistake(place("optim.weight_decay"), text, (place("optim.lr"),))


def critique_grpo_trains_the_policy(recipe: StageSettings) -> Iterator[Mistake]:
    if recipe.critique_grpo is not None and recipe.critic is not None:
        text = "trains the policy, but the section critic trains a critic; leave one of them out"
        yield Mistake(REFINEMENTS, text, (place("critic"),))


def critiques_with_the_answer_have_no_critic(recipe: StageSettings) -> Iterator[Mistake]:
    refining = recipe.critique_grpo
    if refining is not None and refining.with_answer and refining.critic is not None:
        text = "is read only where there is no critic; leave out critique_grpo.critic, or write with_answer: false"
        yield Mistake(place("critique_grpo.with_answer"), text, (place("critique_grpo.critic"),))


def refinements_join_a_group(recipe: StageSettings) -> Iterator[Mistake]:
    if recipe.critique_grpo is None:
        return
    train = recipe.train
    if LOSSES[train.loss].level == "group" or train.credit != "none":
        text = "its refinements need a loss over tokens and a group baseline; write another loss, and credit: none"
        yield Mistake(REFINEMENTS, text, (LOSS, CREDIT))
    if ADVANTAGES[train.advantage].needs_drawn_rows:
        free = alternatives(name for name, facts in ADVANTAGES.items() if not facts.needs_drawn_rows)
        text = f"advantage: {train.advantage} cannot use refinements, which have no sampling probability; write {free}"
        yield Mistake(REFINEMENTS, text, (ADVANTAGE,))


def refinements_were_not_drawn(recipe: StageSettings) -> Iterator[Mistake]:
    if recipe.critique_grpo is None:
        return
    train = recipe.train
    if train.kl.in_reward:
        text = "a KL term in the reward needs sampling probabilities; refinements have none. Write train.kl.where: loss"
        yield Mistake(REFINEMENTS, text, (place("train.kl"),))
    if train.unlikeliness is not None or train.d3s is not None or train.mismatch.is_on:
        text = "unlikeliness, d3s and mismatch need sampling probabilities; refinements have none. Leave them out"
        yield Mistake(REFINEMENTS, text, tuple(place(f"train.{key}") for key in ("unlikeliness", "d3s", "mismatch")))


def alternatives(names: Iterable[str]) -> str:
    """`a, b or c`, for a message."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


RULES: tuple[Rule, ...] = (
    problems_have_a_source,
    parts_and_sets_have_plain_names,
    reward_parts_name_what_judges_them,
    correctness_is_a_part,
    some_part_counts,
    tool_rewards_stay_below_correctness,
    reviewers_can_judge,
    rollouts_can_be_compared,
    updates_hold_whole_groups,
    token_credit_reaches_the_loss,
    credit_fits_the_advantage,
    budget_can_be_met,
    predictions_have_a_source,
    overlong_spares_short_responses,
    shaped_rewards_are_looked_at,
    selected_advantages_are_looked_at,
    aggregation_fits_the_loss,
    the_loss_takes_its_settings,
    decay_leaves_weights,
    vllm_is_the_engine,
    vllm_samples_at_the_temperature,
    single_responses_come_from_single_turns,
    critique_grpo_trains_the_policy,
    critiques_with_the_answer_have_no_critic,
    refinements_join_a_group,
    refinements_were_not_drawn,
)
