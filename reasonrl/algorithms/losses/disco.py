"""DisCO: raise the right responses of a prompt above its wrong ones, as a discriminator does (arXiv:2505.12366, eq. 6).

    s_i  = mean_t log pi                       score of a response (`log-L`; the ratio form exp-mean has tau 1)
    loss = mean_q [ -mean_right(s) + tau log mean_wrong(exp(s / tau)) ]  +  beta sg([K - delta]_+) K

The log-mean-exp looks hardest at the likeliest wrong response. No clip: the squared hinge on K = mean(log pi_old - log
pi) keeps the policy near. Prompts without both kinds add 0 but count in the mean. tau 10, beta 1e3, delta 1e-4 as in
the authors' code, whose reshape to equal group sizes is replaced by sums over ragged groups. The advantages of the
recipe play no part; who is right does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reasonrl.algorithms.losses.scored_rows import ScoredRows


def disco_loss(
    scores: Tensor, right: Tensor, group: Tensor, *, tau: float = 10.0, weights: Tensor | None = None
) -> Tensor:
    """The discriminative part, a scalar, from scores [B], right or wrong [B] (bool) and group ordinals [B].

    `weights` [B] of the right responses, summing to 1 in each group (DRPO); None: all alike. Differentiable in
    `scores`.
    """
    count = int(group.max()) + 1 if len(group) else 0
    losses = []
    for g in range(count):
        members = group == g
        good, bad = members & right, members & ~right
        if not bool(good.any()) or not bool(bad.any()):
            continue
        share = torch.full_like(scores[good], 1.0 / int(good.sum())) if weights is None else weights[good]
        wrong = scores[bad]
        mean_exp = torch.logsumexp(wrong / tau, 0) - torch.log(torch.tensor(float(len(wrong))))
        losses.append(-(share * scores[good]).sum() + tau * mean_exp)
    return torch.stack(losses).sum() / count if losses else scores.sum() * 0.0


def trust_region(logprobs_mean: Tensor, old_logprobs_mean: Tensor, *, beta: float = 1e3, delta: float = 1e-4) -> Tensor:
    """beta sg([K - delta]_+) K with K = mean(old - new) over the batch, from mean log-probs [B]."""
    distance = (old_logprobs_mean - logprobs_mean).mean()
    return beta * (distance - delta).clamp(min=0).detach() * distance


def disco_row_loss(rows: ScoredRows) -> Tensor:
    """The scalar loss of `rows`, trust region included."""
    return disco_loss(rows.scores, rows.correct, rows.group) + trust_region(rows.scores, rows.old_scores)
