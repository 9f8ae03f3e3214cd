"""Every metric that a run may write: meaning, unit, healthy range, and which runs write it.

A number that is not here fails the tests of whoever writes it, and a number that is here and that nobody writes fails
them as well (`reasonrl.runs.metrics.check_names`, `tests/metrics_seen.py`). `docs/metrics.md` is generated from this
list; the report and the viewer show its texts.

In a name, `<part>` stands for a reward part of the recipe, `<set>` for an evaluation set, and `<mode>` for greedy or
sampled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reasonrl.runs.accuracy import MODES

WRITERS = {
    "local": "the local trainer, and `reasonrl eval`",
    "verl": "the verl trainer",
    "vllm": "the local trainer with `rollout.engine: vllm`",
    "gpu": "the local trainer on a GPU",
}
"""Who writes metrics."""
ALL = ("local", "verl", "vllm")
LOCAL = ("local", "vllm")

GROUPS = {
    "reward": "What the verifiers gave, before any shaping",
    "review": "What a critic in the reward says of the rollouts (reward: {NAME: {critic: MODEL}})",
    "accuracy": "Correct responses among the training rollouts",
    "eval": "Held-out problems, which are never trained on",
    "budget": "How the rollouts of a step are distributed over its prompts (budget: knapsack)",
    "value": "What the value model predicts for prompts before their rollouts (curriculum: pcl and others)",
    "credit": "How credit is assigned to single tokens (train.credit: tempo)",
    "shaping": "What was added to the rewards after they were observed (train.unlikeliness, train.overlong)",
    "groups": "Whether the rewards of a prompt's responses differ: only mixed groups carry signal. These are counts",
    "rollouts": "How many responses there are, and how many were cut off or not judged",
    "tools": "How the policy calls tools (rollout.environment: tool_use)",
    "response": "How long the responses are",
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
    """One entry of the registry."""

    name: str
    """May hold `<part>`, `<set>` or `<mode>`."""
    meaning: str
    unit: str
    healthy: str = ""
    """A rule of thumb; empty where there is none."""
    written_by: tuple[str, ...] = ALL
    """Keys of `WRITERS`. A writer need not write it in every run: most methods have metrics of their own."""
    interval: bool = False
    """Whether NAME_low and NAME_high are written beside it, the ends of its 95% interval."""

    @property
    def group(self) -> str:
        return self.name.split("/", 1)[0]

    def expanded(self) -> Iterator[Metric]:
        """The metrics that the entry stands for: one for each mode, each with the ends of its interval."""
        names = [self.name.replace("<mode>", mode) for mode in MODES] if "<mode>" in self.name else [self.name]
        for name in names:
            yield replace(self, name=name, interval=False)
            for suffix, end in (("low", "Lower"), ("high", "Upper")) if self.interval else ():
                meaning = f"{end} end of the 95% interval of `{name.rpartition('/')[2]}`"
                yield Metric(f"{name}_{suffix}", meaning, self.unit, written_by=self.written_by)


SHARE = "share, 0 to 1"

# fmt: off
TRAINING = [
    Metric("reward/mean", "Mean reward of the judged rollouts of this step", "reward", "rises, with noise"),
    Metric("reward/std", "Standard deviation of the reward over the judged rollouts", "reward",
           "above 0; near 0 there is nothing to learn from"),
    Metric("reward/<part>", "Mean of one reward part before its weight", "reward",
           "a part stuck at one value teaches nothing"),
    Metric("review/<part>/accepted", "Read critiques of a critic in the reward that call the response correct",
           SHARE, "not much above accuracy/train; far above it the policy pleases the critic"),
    Metric("review/<part>/unread", "Critiques of responses without a judgement that could be read", SHARE, "near 0"),
    Metric("review/<part>/failed", "Responses for which the server of the critic did not answer: they are masked",
           SHARE, "0"),
    Metric("review/<part>/agreement", "Read critiques whose judgement agrees with the verifier", SHARE,
           "steady; a fall means that the policy pleases the critic"),
    Metric("review/<part>/worth", "What a response that the critic accepts earns more than one that it rejects, before"
           " the weight of the part", SHARE, "above 0; at 0 the critic's judgement says nothing about correctness."
           " Where it accepts everything (review/<part>/accepted is 1) nothing is known of what it rejects, and worth"
           " says little"),
    Metric("accuracy/train", "Share of correct responses among the training rollouts that were judged", SHARE,
           "0.2 to 0.8 gives the most signal"),
    Metric("budget/rollouts_min", "Smallest number of rollouts of a prompt", "rollouts"),
    Metric("budget/rollouts_median", "Median number of rollouts of a prompt", "rollouts"),
    Metric("budget/rollouts_max", "Largest number of rollouts of a prompt", "rollouts"),
    Metric("budget/at_low_share", "Prompts that got `budget.low` rollouts", SHARE, "the share of solved prompts"),
    Metric("budget/at_high_share", "Prompts that got `budget.high` rollouts", SHARE,
           "under a fifth; else raise budget.high"),
    Metric("budget/unspent", "Rollouts that no prompt could take, since all were at `budget.high`", "rollouts", "0"),
    Metric("value/predicted_prompts", "Prompts of this step whose success rate was predicted", "prompts",
           "all, after the first steps"),
    Metric("value/bias", "Mean of prediction minus success rate", "-1 to 1",
           "near 0; a positive bias means that the policy has become worse"),
    Metric("value/mean_squared_error", "Mean squared difference of predictions and success rates", "squared share",
           "below the variance of the rates"),
    Metric("value/explained_variance", "Share of the variance of success rates that is predicted", "up to 1",
           "above 0; else the predictions are worse than a constant"),
    Metric("credit/branching_share", "Tokens at which the responses of a group diverge and their values differ", SHARE,
           "above 0"),
    Metric("credit/moved_share", "Credit that the tree moved, as a share of the group's credit", SHARE, "0.05 to 1"),
    Metric("shaping/mean", "Mean of what shaping added to the reward of a usable response", "reward",
           "small against reward/std"),
    Metric("shaping/likelihood_correlation", "Rank correlation of reward and likelihood within mixed groups",
           "-1 to 1", "near 1 the policy only sharpens what it already does"),
    Metric("groups/total", "Prompts rolled out, each with its group of responses", "prompts"),
    Metric("groups/mixed", "Prompts whose rewards differ within the group", "prompts",
           "at least a third of groups/total"),
    Metric("groups/all_correct", "Prompts that every response solves: too easy to teach anything", "prompts",
           "under half of groups/total; else use harder problems"),
    Metric("groups/all_wrong", "Prompts that no response solves: too hard to teach anything", "prompts",
           "under half of groups/total; else use easier problems or more rollouts"),
    Metric("groups/unjudged", "Prompts none of whose responses were judged", "prompts", "0"),
    Metric("rollouts/total", "Responses sampled in this step", "responses"),
    Metric("rollouts/trained", "Responses that entered the update", "responses",
           "those of the mixed groups, unless silent groups are kept"),
    Metric("rollouts/effective_share", "Responses in groups whose rewards differ, which have a gradient", SHARE,
           "above a third"),
    Metric("rollouts/truncated", "Responses cut off at the token limit", "responses",
           "under a tenth of rollouts/total; else raise the limit"),
    Metric("rollouts/unparsed", "Responses in which no answer could be read (counted as wrong)", "responses",
           "falls; a rise is an alarm"),
    Metric("rollouts/timeout", "Responses that were not judged: the verifier ran out of time (not learnt from)",
           "responses", "0; a rise is an alarm"),
    Metric("rollouts/error", "Responses that were not judged: the verifier failed (not learnt from)", "responses", "0"),
    Metric("rollouts/unjudged_share", "Responses that were not judged: timeout or error", SHARE,
           "0; an alarm above health.warn_unjudged_share"),
    Metric("rollouts/masked",
           "Responses left out of the update: not judged, or cut off where the recipe masks those", "responses",
           "a few percent of rollouts/total"),
    Metric("rollouts/failed", "Rollouts that an agent worker did not complete; they are not learnt from",
           "responses", "0", ("verl",)),
    Metric("rollouts/refined", "Critique-guided refinements that joined a group (critique_grpo)", "responses", "",
           LOCAL),
    Metric("rollouts/refine_failed", "Incorrect responses whose critic did not answer (critique_grpo)", "responses",
           "0",
           LOCAL),
    Metric("response/tokens_mean", "Mean number of tokens that the policy wrote in an episode", "tokens",
           "a sudden drop, or a climb to the limit, is a warning"),
    Metric("response/tokens_max", "The most tokens that the policy wrote in an episode", "tokens", "below the limit"),
    Metric("response/turns", "Mean number of turns that the policy took in an episode", "turns"),
    Metric("response/environment_tokens",
           "Mean number of tokens in an episode that the environment wrote after the prompt", "tokens"),
    Metric("tools/call_rate", "Episodes with at least one call", SHARE, "rises where tools help"),
    Metric("tools/calls", "Mean number of calls of an episode, those that could not be executed included", "calls"),
    Metric("tools/success_rate", "Calls that a tool answered without an error", SHARE, "rises towards 1"),
    Metric("tools/invalid_rate",
           "Calls that could not be executed: not readable, of an unknown tool, with wrong arguments", SHARE,
           "falls towards 0"),
    Metric("tools/timeout", "Calls that used up their tool's own limit of time", "calls", "near 0"),
    Metric("tools/broken", "Episodes that are masked since a tool failed through no fault of the policy", "episodes",
           "0; a rise is an alarm"),
    Metric("tools/void", "Episodes that ended in a turn with neither a call nor an answer", "episodes", "falls"),
    Metric("tools/cut_off", "Episodes that ended at a limit of tokens or turns before they answered", "episodes",
           "falls; else raise max_turns or rollout.max_response_tokens"),
    Metric("tools/token_share", "Tokens behind the prompts that tools wrote", SHARE),
    Metric("tools/accuracy_with_call", "Share of correct responses among the judged episodes with a call", SHARE),
    Metric("tools/accuracy_without_call", "Share of correct responses among the judged episodes without a call",
           SHARE),
    Metric("policy/entropy",
           "Mean entropy of the whole next-token distribution, over the tokens that carried loss", "nats",
           "falls slowly; near 0 exploration has ended"),
    Metric("policy/surprise",
           "Mean of -log-prob of the sampled tokens: an estimate of the entropy that needs only what was sampled",
           "nats", "near policy/entropy"),
    Metric("policy/kl_ref", "Estimated divergence from the frozen reference model, per token (train.kl)", "nats",
           "small and steady", LOCAL),
    Metric("policy/rollout_gap",
           "Train-inference mismatch: mean |log-prob in training - log-prob in sampling|, per token", "nats",
           "below 0.0001 in fp32, 0.05 in bf16"),
    Metric("policy/rollout_gap_max", "Largest |log-prob in training - log-prob in sampling| of a token of this step",
           "nats", "below 0.001 in fp32; with vLLM a jump means that its weights are old"),
    Metric("policy/clip_fraction", "Share of response tokens whose update was clipped", SHARE,
           "0 when on-policy, else under 0.2"),
    Metric("policy/corrected", "Share of tokens whose weight the mismatch correction changed (train.mismatch)", SHARE,
           "under 0.05", LOCAL),
    Metric("loss/policy", "Policy-gradient loss", "loss", "near 0 on policy; its level says little"),
    Metric("loss/kl", "Penalty for leaving the reference model, times its weight", "loss"),
    Metric("loss/entropy", "Bonus for the entropy of the policy, times its weight (negative)", "loss"),
    Metric("loss/total", "The weighted sum of the losses, which is minimised", "loss"),
    Metric("loss/value", "Loss of the value head that predicts success rates (verl's critic)", "loss", "falls",
           ("verl",)),
    Metric("loss/sft", "Cross-entropy per response token of the supervised phase", "nats a token",
           "falls, then flattens", LOCAL),
    Metric("optim/lr", "Learning rate of this update", "1"),
    Metric("optim/grad_norm", "Norm of the gradient before clipping", "1", "no spikes of 10 times the usual"),
    Metric("optim/updates", "Optimiser steps taken in this step", "updates", "0 when no group carried signal"),
    Metric("data/epoch", "Completed passes over the training problems", "passes"),
    Metric("tokens/prompt", "Prompt tokens of this step, each prompt counted once", "tokens"),
    Metric("tokens/response", "Tokens after the prompts of this step, those of the environment included", "tokens"),
    Metric("tokens/computed", "Token positions that really went through the model in the update", "tokens",
           "below prompt x rollouts + response", LOCAL),
    Metric("time/select_s", "Choosing problems and budgets, including predictions", "s", "", LOCAL),
    Metric("time/rollout_s", "Sampling the responses", "s"),
    Metric("time/verify_s", "Judging what was not judged during the rollouts", "s", "a small part of the step", LOCAL),
    Metric("time/tool_call_s", "Mean time of a call of a tool, waiting included (rollout.environment: tool_use)", "s"),
    Metric("time/update_s", "Forward, backward and optimiser", "s"),
    Metric("time/eval_s", "Evaluating on one held-out set", "s"),
    Metric("time/step_s", "The whole step", "s"),
    Metric("memory/rss_peak_mb", "Largest resident memory of the process so far", "MB", "below the machine's", LOCAL),
    Metric("memory/gpu_peak_mb", "Largest GPU memory in use so far", "MB", "below the card's", ("gpu",)),
]

EVALUATION = [
    Metric("eval/<set>/greedy", "Share of correct responses among the judged ones, with greedy decoding", SHARE,
           "rises above the interval of step 0", interval=True),
    Metric("eval/<set>/sampled",
           "Share of correct responses among the judged ones, over the samples of each problem (avg@n)", SHARE,
           "rises above the interval of step 0", interval=True),
    Metric("eval/<set>/<mode>_n", "Problems with a judged response: the sample size of the interval", "problems",
           "at least 100"),
    Metric("eval/<set>/<mode>_unjudged",
           "Responses that were not judged (timeout or error); they are left out of the accuracy", "responses", "0"),
    Metric("eval/<set>/<mode>_if_unjudged_wrong", "The accuracy if all responses that were not judged were wrong",
           SHARE, "equal to the accuracy"),
    Metric("eval/<set>/any_of_n",
           "Share of problems that at least one of the n samples solves, of those with a judged sample", SHARE,
           "rises above the interval of step 0", interval=True),
    Metric("eval/<set>/<mode>_call_rate", "Share of the episodes in which the policy called a tool", SHARE, "",
           interval=True),
    Metric("eval/<set>/<mode>_call_success", "Share of the calls that a tool answered without an error", SHARE,
           "rises towards 1", interval=True),
    Metric("eval/<set>/problems", "Problems in the set", "problems", "at least 100"),
    Metric("eval/<set>/samples_per_problem", "Samples of each problem at the sampling temperature", "samples"),
    Metric("eval/<set>/unparsed", "Share of responses in which no answer could be read (counted as wrong)", SHARE,
           "falls"),
    Metric("eval/<set>/truncated", "Share of responses cut off at the token limit", SHARE, "under 0.1"),
    Metric("eval/<set>/timeout", "Share of responses whose verifier ran out of time", SHARE, "0"),
    Metric("eval/<set>/error", "Share of responses on which the verifier failed", SHARE, "0"),
    # Of critics: the response is a critique.
    Metric("eval/<set>/<mode>_parse_rate", "Share of critiques in which exactly one judgement was read", SHARE,
           "near 1"),
    Metric("eval/<set>/<mode>_accuracy_of_parsed",
           "Acc@Dis without unparsed critiques, as Critique-RL reports it; the accuracy itself counts them as wrong",
           SHARE),
    Metric("eval/<set>/<mode>_correct_recall", "Share of the correct solutions that are called correct", SHARE,
           "rises"),
    Metric("eval/<set>/<mode>_error_recall", "Share of the incorrect solutions that are called incorrect", SHARE,
           "rises"),
    Metric("eval/<set>/<mode>_false_alarm", "Share of the correct solutions that are called incorrect", SHARE,
           "falls"),
    Metric("eval/<set>/<mode>_first_error_accuracy",
           "Share of the solutions with an incorrect step whose first incorrect step is named", SHARE, "rises"),
    Metric("eval/<set>/<mode>_no_error_accuracy",
           "Share of the solutions without an incorrect step in which none is named", SHARE, "rises"),
    Metric("eval/<set>/<mode>_process_f1", "Harmonic mean of the two (ProcessBench)", SHARE, "rises"),
    Metric("eval/<set>/<mode>_refine", "Acc@Refine: share of all solutions that are correct after the critique", SHARE,
           "above refine_before", interval=True),
    Metric("eval/<set>/<mode>_refine_failed",
           "Share of critiques whose actor did not answer; no figure of refinements counts them", SHARE, "0"),
    Metric("eval/<set>/<mode>_refine_before", "Share of all solutions that were correct before the critique", SHARE),
    Metric("eval/<set>/<mode>_refine_i2c", "Share of all solutions that became correct", SHARE, "rises"),
    Metric("eval/<set>/<mode>_refine_c2i", "Share of all solutions that were correct and became incorrect", SHARE,
           "falls"),
    Metric("eval/<set>/<mode>_leak_rate",
           "Share of critiques that state the reference answer where the solution did not", SHARE, "low"),
    Metric("eval/<set>/<mode>_refine_without_leak",
           "Acc@Refine over the critiques that do not state the reference answer", SHARE, "near refine"),
]
# fmt: on


def _controls() -> Iterator[Metric]:
    """What `reasonrl eval --controls` writes into results.json."""
    feedbacks = {
        "empty": "an empty critique",
        "shuffled": "the critique of another solution",
        "indicative": "the judgement alone",
    }
    for control, feedback in feedbacks.items():
        name = f"eval/<set>/greedy_refine_{control}"
        meaning = f"Acc@Refine after {feedback} (`reasonrl eval --controls`)"
        yield Metric(name, meaning, SHARE, written_by=("local",), interval=True)
        meaning = "Share of problems without a refinement that was judged; they are left out"
        yield Metric(f"{name}_failed", meaning, SHARE, "0", ("local",))


ENTRIES = [*TRAINING, *EVALUATION, *_controls()]
