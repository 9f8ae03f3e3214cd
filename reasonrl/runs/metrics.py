"""Every metric that a run may write, with its meaning, unit and healthy range.

A trainer that writes a name which is not here fails its tests (`check_names`), so that no number is ever shown without
an explanation. `docs/metrics.md`, the report and the viewer all read this list. `<part>`, `<set>` and `<k>` in a name
stand for a reward part of the recipe, an evaluation set and a whole number.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

ROW_KEYS = frozenset({"kind", "step", "stage"})
"""Keys of a metrics row that are not metrics."""

GROUPS = {
    "reward": "What the verifiers gave, before any shaping",
    "accuracy": "Right answers among the training rollouts",
    "eval": "Held-out problems, never trained on",
    "budget": "How the rollouts of a step are given out over its prompts (budget: knapsack)",
    "value": "What the value model predicts of prompts before their rollouts (curriculum: pcl, advantage: shrinkage)",
    "credit": "What single tokens are credited with (train.credit: tempo)",
    "shaping": "What was added to the rewards after they were observed (train.unlikeliness, train.overlong)",
    "groups": "Whether a prompt's answers differ: only mixed groups teach anything",
    "rollouts": "Answers that were cut off or could not be judged",
    "response": "How long the answers are",
    "policy": "How the model's distribution moves",
    "loss": "What the optimiser minimises",
    "optim": "The optimiser",
    "data": "Passes over the training problems",
    "tokens": "How much text went through the model",
    "time": "Where the time goes",
    "memory": "Memory",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the registry. `name` may hold `<part>`, `<set>` or `<k>`; `healthy` is a rule of thumb, empty where
    there is none.
    """

    name: str
    meaning: str
    unit: str
    healthy: str = ""

    @property
    def group(self) -> str:
        return self.name.split("/", 1)[0]


def _registered() -> list[Metric]:
    share = "share, 0 to 1"
    metrics = [
        Metric("reward/mean", "Mean reward of the judged rollouts of this step", "reward", "rises, with noise"),
        Metric(
            "reward/std",
            "Standard deviation of the reward over the judged rollouts",
            "reward",
            "above 0; near 0 there is nothing to learn from",
        ),
        Metric(
            "reward/<part>",
            "Mean of one reward part before its weight",
            "reward",
            "a part stuck at one value teaches nothing",
        ),
        Metric(
            "shaping/mean",
            "Mean of what shaping added to the reward of a usable answer",
            "reward",
            "small against reward/std",
        ),
        Metric(
            "shaping/likelihood_correlation",
            "Rank correlation of reward and likelihood inside mixed groups",
            "-1 to 1",
            "near 1 the policy only sharpens what it already does",
        ),
        Metric("budget/rollouts_min", "Fewest rollouts of a prompt", "rollouts"),
        Metric("budget/rollouts_median", "Median rollouts of a prompt", "rollouts"),
        Metric("budget/rollouts_max", "Most rollouts of a prompt", "rollouts"),
        Metric("budget/at_low_share", "Prompts that got the least", share, "those that are solved"),
        Metric("budget/at_high_share", "Prompts that got the most", share, "under a fifth; else raise budget.high"),
        Metric("budget/unspent", "Rollouts that no prompt could take", "rollouts", "0"),
        Metric(
            "value/predicted_prompts",
            "Prompts of this step that were predicted",
            "prompts",
            "all, after the first steps",
        ),
        Metric(
            "value/bias",
            "Mean of prediction less success rate",
            "-1 to 1",
            "near 0; above it the policy has become worse",
        ),
        Metric(
            "value/mean_squared_error",
            "Of predictions against success rates",
            "squared share",
            "under the variance of the rates",
        ),
        Metric(
            "value/explained_variance",
            "Share of the variance of success rates that is predicted",
            "up to 1",
            "above 0 it is of use",
        ),
        Metric(
            "credit/branching_share",
            "Tokens at which the answers of a group part and their values differ",
            share,
            "above 0",
        ),
        Metric("credit/moved_share", "Credit that the tree moved, against all of the group's", share, "0.05 to 1"),
        Metric(
            "rollouts/effective_share",
            "Answers in groups whose rewards differ: those with a gradient",
            share,
            "above a third",
        ),
        Metric(
            "rollouts/unjudged_share",
            "Answers that timed out or broke",
            share,
            "0; an alarm above health.warn_unjudged_share",
        ),
        Metric("policy/corrected", "Tokens whose weight the mismatch correction changed", share, "under 0.05"),
        Metric("time/select_s", "Choosing problems and budgets, predictions included", "s"),
        Metric(
            "accuracy/train",
            "Share of the judged training rollouts whose answer is right",
            share,
            "0.2 to 0.8 gives the most signal",
        ),
        Metric("groups/total", "Prompts rolled out, each with its group of answers", "prompts"),
        Metric(
            "groups/mixed",
            "Prompts with rewards that differ within the group",
            "prompts",
            "at least a third of all groups",
        ),
        Metric(
            "groups/all_correct",
            "Prompts that every answer solves: too easy to teach",
            "prompts",
            "when most are, take harder problems",
        ),
        Metric(
            "groups/all_wrong",
            "Prompts that no answer solves: too hard to teach",
            "prompts",
            "when most are, take easier problems or more rollouts",
        ),
        Metric(
            "groups/trained",
            "Prompts whose answers entered the update",
            "prompts",
            "equal to the mixed groups unless all are kept",
        ),
        Metric("groups/unjudged", "Prompts of which no answer could be judged", "prompts", "0"),
        Metric(
            "rollouts/trained",
            "Answers that entered the update",
            "answers",
            "those of the mixed groups, unless all are kept",
        ),
        Metric("data/epoch", "Passes over the training problems that are complete", "passes"),
        Metric("rollouts/total", "Answers sampled in this step", "answers"),
        Metric(
            "rollouts/truncated", "Answers cut off at the token limit", "answers", "under 10%; else raise the limit"
        ),
        Metric(
            "rollouts/unparsed",
            "Answers in which nothing could be read (counted as wrong)",
            "answers",
            "falls; a rise is an alarm",
        ),
        Metric(
            "rollouts/timeout",
            "Answers whose verifier ran out of time (not learnt from)",
            "answers",
            "0; a rise is an alarm",
        ),
        Metric("rollouts/error", "Answers on which the verifier broke (not learnt from)", "answers", "0"),
        Metric(
            "rollouts/masked",
            "Answers left out of the update: not judged, or cut off where the recipe masks those",
            "answers",
            "a few percent",
        ),
        Metric(
            "response/tokens_mean",
            "Mean length of an answer",
            "tokens",
            "a sudden drop or climb to the limit is a warning",
        ),
        Metric("response/tokens_max", "Longest answer", "tokens", "below the limit"),
        Metric(
            "policy/entropy",
            "Mean entropy of the next-token distribution over response tokens",
            "nats",
            "falls slowly; near 0 exploration has ended",
        ),
        Metric(
            "policy/kl_ref",
            "Estimated divergence from the frozen reference model, per token",
            "nats",
            "small and steady",
        ),
        Metric(
            "policy/rollout_gap",
            "Mean |log-prob in training - log-prob in sampling|, per token",
            "nats",
            "below 0.01 in fp32, 0.05 in bf16",
        ),
        Metric(
            "policy/rollout_gap_max",
            "Largest |log-prob in training - log-prob in sampling| of a token of this step",
            "nats",
            "below 0.001 in fp32; with vLLM a jump says that its weights are old",
        ),
        Metric(
            "policy/clip_fraction",
            "Share of response tokens whose update was clipped",
            share,
            "0 when on-policy, else under 0.2",
        ),
        Metric("loss/policy", "Policy-gradient loss", "loss", "near 0 on policy; its level says little"),
        Metric("loss/kl", "Penalty for leaving the reference model, with its weight", "loss"),
        Metric("loss/entropy", "Bonus for the entropy of the policy, with its weight (negative)", "loss"),
        Metric("loss/total", "What was minimised: the weighted sum of the losses", "loss"),
        Metric(
            "loss/sft",
            "Cross-entropy per response token of the supervised phase",
            "nats a token",
            "falls, then flattens",
        ),
        Metric("optim/lr", "Learning rate of this update", "1"),
        Metric("optim/grad_norm", "Norm of the gradient before clipping", "1", "no spikes of 10 times the usual"),
        Metric("optim/updates", "Optimiser steps taken in this step", "updates", "0 when no group carried signal"),
        Metric("tokens/prompt", "Prompt tokens of this step, each prompt counted once", "tokens"),
        Metric("tokens/response", "Response tokens of this step", "tokens"),
        Metric(
            "tokens/computed",
            "Token positions that really went through the model in the update",
            "tokens",
            "below prompt x rollouts + response",
        ),
        Metric("time/rollout_s", "Sampling the answers", "s"),
        Metric("time/verify_s", "Judging the answers", "s", "a small part of the step"),
        Metric("time/update_s", "Forward, backward and optimiser", "s"),
        Metric("time/eval_s", "Evaluating on held-out problems", "s"),
        Metric("time/checkpoint_s", "Writing a checkpoint", "s"),
        Metric("time/step_s", "The whole step", "s"),
        Metric("memory/rss_peak_mb", "Largest resident memory of the process so far", "MB", "below the machine's"),
        Metric("memory/gpu_peak_mb", "Largest GPU memory in use so far", "MB", "below the card's"),
    ]
    shares = {
        "greedy": "Share solved with greedy decoding",
        "sampled": "Mean share solved over the samples of each problem (avg@n)",
        "any_of_n": "Share of problems that at least one of the n samples solves",
        "majority": "Share of problems that the majority of the n samples solves",
    }
    for name, meaning in shares.items():
        metrics += [
            Metric(f"eval/<set>/{name}", meaning, share, "rises above the interval of step 0"),
            Metric(f"eval/<set>/{name}_low", f"Lower end of the 95% interval of `{name}`", share),
            Metric(f"eval/<set>/{name}_high", f"Upper end of the 95% interval of `{name}`", share),
        ]
    metrics += [
        Metric(
            "eval/<set>/problems", "Problems in the set: the sample size of its intervals", "problems", "at least 100"
        ),
        Metric("eval/<set>/samples_per_problem", "Samples of each problem at the sampling temperature", "samples"),
        Metric("eval/<set>/pass_at_<k>", "Unbiased chance that one of k samples is right", share),
        Metric("eval/<set>/response_tokens_mean", "Mean length of an answer", "tokens"),
    ]
    for mode in ("", "greedy_", "sampled_"):
        of = f" ({mode[:-1]} answers)" if mode else ""
        metrics += [
            Metric(
                f"eval/<set>/{mode}unparsed", f"Share of answers in which nothing could be read{of}", share, "falls"
            ),
            Metric(
                f"eval/<set>/{mode}truncated", f"Share of answers cut off at the token limit{of}", share, "under 0.1"
            ),
            Metric(f"eval/<set>/{mode}timeout", f"Share of answers whose verifier ran out of time{of}", share, "0"),
            Metric(f"eval/<set>/{mode}error", f"Share of answers on which the verifier broke{of}", share, "0"),
        ]
    metrics.append(
        Metric("rollouts/refine_failed", "Wrong responses whose critic did not answer (critique_grpo)", "rollouts", "0")
    )
    metrics.append(
        Metric("rollouts/refined", "Critique-guided refinements that joined a group (critique_grpo)", "rollouts")
    )
    for mode in ("greedy", "sampled"):
        metrics += [
            Metric(f"eval/<set>/{mode}_{name}", f"{meaning} ({mode} critiques)", share, healthy)
            for name, meaning, healthy in CRITIC_METRICS
        ]
    return metrics


CRITIC_METRICS = [
    ("parse_rate", "Share of critiques in which exactly one judgement was read", "near 1"),
    (
        "accuracy_of_parsed",
        "Acc@Dis without unread critiques, as Critique-RL prints it; the accuracy itself counts them as wrong",
        "",
    ),
    ("correct_recall", "Of the correct solutions, the share that is called correct", "rises"),
    ("error_recall", "Of the incorrect solutions, the share that is called incorrect", "rises"),
    ("false_alarm", "Of the correct solutions, the share that is called incorrect", "falls"),
    ("first_error_accuracy", "Of the solutions with a wrong step, the share whose first wrong step is named", "rises"),
    ("no_error_accuracy", "Of the solutions without a wrong step, the share in which none is named", "rises"),
    ("process_f1", "Harmonic mean of the two (ProcessBench)", "rises"),
    ("refine", "Acc@Refine: share of all solutions that are right after the critique", "above refine_before"),
    ("refine_low", "Lower end of the 95% interval of `refine`", ""),
    ("refine_high", "Upper end of the 95% interval of `refine`", ""),
    ("refine_failed", "Share of critiques whose actor did not answer; they are in no figure of refinements", "0"),
    ("refine_before", "Share of all solutions that were right before the critique", ""),
    ("refine_i2c", "Share of all solutions that became right", "rises"),
    ("refine_c2i", "Share of all solutions that were right and are so no more", "falls"),
    *(
        (f"refine_{control}{end}", f"{what}{words}", "")
        for control, words in (
            ("empty", "no words"),
            ("shuffled", "the critique of another solution"),
            ("indicative", "the bare judgement"),
        )
        for end, what in (
            ("", "Acc@Refine after "),
            ("_low", "Lower end of its 95% interval: Acc@Refine after "),
            ("_high", "Upper end of it: Acc@Refine after "),
            (
                "_failed",
                (
                    "Share of problems that this leaves out, for want of a refinement that could be judged: Acc@Refine"
                    " after "
                ),
            ),
        )
    ),
    ("leak_rate", "Share of critiques that state the reference answer where the solution did not", "low"),
    ("refine_without_leak", "Acc@Refine over the critiques that do not", "near refine"),
]
"""Of critics: name, meaning, healthy range."""

METRICS: list[Metric] = _registered()
_PLACEHOLDERS = {"<part>": r"[^/]+", "<set>": r"[^/]+", "<k>": r"[1-9][0-9]*"}


def describe(name: str) -> Metric:
    """The registry's entry for a metric name. An exact name wins over a pattern.

    Raises:
        KeyError: the name is not registered.
    """
    exact, patterns = _index()
    if name in exact:
        return exact[name]
    for pattern, metric in patterns:
        if pattern.fullmatch(name):
            return metric
    raise KeyError(name)


def check_names(row: Mapping[str, object] | Iterable[str]) -> None:
    """Check that every key of a metrics row is registered (or one of `ROW_KEYS`).

    Raises:
        ValueError: some are not; the message lists all of them, each with the nearest registered name.
    """
    unknown = []
    for name in row:
        if name in ROW_KEYS:
            continue
        try:
            describe(name)
        except KeyError:
            near = difflib.get_close_matches(name, [metric.name for metric in METRICS], n=1)
            unknown.append(f"{name!r}" + (f" (nearest: {near[0]!r})" if near else ""))
    if unknown:
        raise ValueError(
            f"metrics that reasonrl/runs/metrics.py does not explain: {', '.join(unknown)}. Register them there."
        )


def metrics_page() -> str:
    """The text of docs/metrics.md: one table a group."""
    lines = [
        "# Metrics",
        "",
        (
            "Every number in `metrics.jsonl`, TensorBoard, the report and the viewer. `<part>` is a reward part of the"
            " recipe, `<set>` an"
        ),
        (
            "evaluation set, `<k>` a whole number. Healthy ranges are rules of thumb. This page is generated from"
            " `reasonrl/runs/metrics.py`."
        ),
    ]
    for group, title in GROUPS.items():
        lines += ["", f"## {group}", "", f"{title}.", "", "| metric | meaning | unit | healthy |", "|---|---|---|---|"]
        lines += [
            f"| `{m.name}` | {m.meaning.replace('|', chr(92) + '|')} | {m.unit} | {m.healthy} |"
            for m in METRICS
            if m.group == group
        ]
    return "\n".join(lines) + "\n"


@cache
def _index() -> tuple[dict[str, Metric], list[tuple[re.Pattern[str], Metric]]]:
    exact: dict[str, Metric] = {}
    patterns: list[tuple[re.Pattern[str], Metric]] = []
    for metric in METRICS:
        if "<" not in metric.name:
            exact[metric.name] = metric
            continue
        expression = re.escape(metric.name)
        for placeholder, inner in _PLACEHOLDERS.items():
            expression = expression.replace(re.escape(placeholder), inner)
        patterns.append((re.compile(expression), metric))
    return exact, patterns
