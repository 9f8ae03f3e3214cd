"""The methods of an rl stage in words, for its plan."""

from __future__ import annotations

from reasonrl.recipe.schema import Recipe


def methods_in_words(recipe: Recipe) -> list[str]:
    """What is switched on, with its numbers."""
    train, curriculum, budget = recipe.train, recipe.curriculum, recipe.budget
    words = [f"advantage {train.advantage}", f"loss {train.loss}, {recipe.loss_aggregation}"]
    if curriculum.name == "pcl":
        candidates = curriculum.candidates_per_prompt * train.prompts_per_step
        words.append(
            f"curriculum pcl: {candidates} candidates a step, used: those nearest to {curriculum.target_rate:g}"
        )
    elif curriculum.name != "uniform":
        words.append(f"curriculum {curriculum.name}")
    if budget.name == "knapsack":
        words.append(
            f"budget knapsack: {budget.low} to {budget.high} rollouts a prompt, rates from {recipe.rate_source}"
        )
    if train.credit != "none":
        words.append(f"credit {train.credit}")
    if train.unlikeliness is not None:
        words.append(f"unlikeliness {train.unlikeliness.beta:g}")
    if train.refill.enabled:
        words.append(f"refill: up to {train.refill.max_rounds} more rounds of prompts")
    elif train.drop_silent_groups:
        words.append("silent groups are dropped")
    return words
