"""A served critic (`reasonrl serve`) as a reward function of other trainers.

verl:  reward.custom_reward_function.path=pkg://critics.adapters reward.custom_reward_function.name=compute_score
       +reward.custom_reward_function.reward_kwargs.server=http://127.0.0.1:8000
TRL:   GRPOTrainer(reward_funcs=[critics.adapters.trl_reward("http://127.0.0.1:8000")], ...)

The reward is the share of critiques that accept the solution, of those that could be read. Where none could, TRL leaves
the rollout out (None); verl has no such thing, so there a row gets 0 and says so in `undecided`, which verl logs beside
the reward: watch it. A server that is full is asked again after the time that it names. One that is gone is an error:
it ends the training, and does not become a reward.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, NamedTuple

from critics.strategies.base import CriticUnavailable

LONGEST_WAIT_S = 60.0
"""A server that asks for a longer pause is asked again after this one."""
_FAILURES = frozenset({500, 502, 504})
"""Of the server or of a model behind it: asked again twice."""
_BUSY = frozenset({408, 429, 503})
_NOT_OPTIONS = ("reward_router_address", "reward_model_tokenizer")
"""What verl passes to every reward function."""
_SPREAD = random.Random()
"""A generator of its own: those of the training are seeded."""
_log = logging.getLogger(__name__)
_SHARED: dict[str, ServedCritic] = {}
_LOCK = threading.Lock()


class Opinion(NamedTuple):
    """What the critic says of one solution."""

    probability: float | None
    """That it is right. None: the critic abstains."""
    status: str
    """judged, unread (no critique could be read), or refused (the critic cannot be given this solution)."""
    reason: str | None = None


@dataclass
class ServedCritic:
    """Asks a critic server, from any number of threads.

    Attributes:
        server: its address, such as http://127.0.0.1:8000.
        critiques: of each solution; more than 1 need a server with --critic-temperature above 0.
        patience_s: how long a server that is full or cannot be reached is asked again.
        timeout_s: how long one answer may take.
        concurrency: requests at one time.
        api_key_env: the environment variable with the server's key, if it wants one.
    """

    server: str
    critiques: int = 1
    patience_s: float = 600.0
    timeout_s: float = 600.0
    concurrency: int = 32
    api_key_env: str = "REASONRL_API_KEY"
    _client: Any = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.server.startswith(("http://", "https://")):
            raise ValueError(f"server is {self.server!r}; write the critic's address, such as http://127.0.0.1:8000")
        if self.critiques < 1 or self.concurrency < 1:
            raise ValueError("critiques and concurrency must be at least 1")

    def ask(self, problem: str, solution: str, ended: threading.Event | None = None) -> Opinion:
        """One solution. `ended` cuts the pause before another try short.

        Raises:
            CriticUnavailable: there is no answer, also after the pauses.
            ValueError: the server refuses the request for another reason than this solution.
        """
        import httpx

        gives_up, failures, pause_s = time.monotonic() + self.patience_s, 0, 0.5
        while True:
            wait_s, pause_s = pause_s, min(2 * pause_s, LONGEST_WAIT_S)
            try:
                answer = self._http().post(
                    f"{self.server.rstrip('/').removesuffix('/v1')}/v1/critique",
                    json={"problem": _utf8(problem), "solution": _utf8(solution), "samples": self.critiques},
                )
            except httpx.HTTPError as error:
                why = str(error) or type(error).__name__
            else:
                if answer.status_code not in _BUSY | _FAILURES:
                    return _read(answer, self.server, self.api_key_env)
                failures += answer.status_code in _FAILURES
                why = f"status {answer.status_code}: {_message(answer)}"
                named_s = _retry_after_s(answer.headers.get("retry-after"))
                if named_s:  # not all at the same moment
                    wait_s, pause_s = named_s * _SPREAD.uniform(1.0, 1.25), 0.5
            if failures == 3 or time.monotonic() + wait_s > gives_up:
                raise CriticUnavailable(f"the critic at {self.server} does not answer: {why}")
            if (ended or threading.Event()).wait(wait_s):
                raise CriticUnavailable("the caller has ended")

    def ask_all(self, pairs: Sequence[tuple[str, str]]) -> list[Opinion | CriticUnavailable]:
        """Problems with their solutions, at one time. Raises what `ask` raises, but CriticUnavailable only if there is
        no answer at all.
        """
        ended = threading.Event()

        def one(pair: tuple[str, str]) -> Opinion | CriticUnavailable:
            try:
                return self.ask(*pair, ended)
            except CriticUnavailable as error:
                return error

        pool = ThreadPoolExecutor(min(self.concurrency, max(1, len(pairs))), thread_name_prefix="critic")
        try:
            opinions = list(pool.map(one, pairs))
        finally:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
        failures = [opinion for opinion in opinions if isinstance(opinion, CriticUnavailable)]
        if failures and len(failures) == len(opinions):
            raise failures[0]
        if failures:
            _log.warning("%d of %d solutions have no reward: %s", len(failures), len(opinions), failures[0])
        return opinions

    def _http(self) -> Any:
        import httpx

        with self._lock:
            if self._client is None:
                key = os.environ.get(self.api_key_env)
                self._client = httpx.Client(
                    timeout=httpx.Timeout(self.timeout_s, connect=10.0),
                    headers={"Authorization": f"Bearer {key}"} if key else {},
                    limits=httpx.Limits(max_connections=None),
                )
            return self._client


def trl_reward(
    server: str, *, column: str | None = None, name: str = "critic_reward", **options: Any
) -> Callable[..., list[float | None]]:
    """A reward function for TRL: the probability that the served critic gives to each completion, None where it
    abstains. All completions of a call are asked about at one time.

    Args:
        column: of the data set, with the problem as text. Default: what the prompt says, without its system message.
        name: under which TRL logs it.
        options: of `ServedCritic`.
    """
    critic = ServedCritic(server, **options)

    def reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        if column is not None and column not in columns:
            raise ValueError(
                f"the data set has no column {column!r}; it has {', '.join(columns)}. Name the one with the problem"
            )
        problems = [_problem_text(prompt) for prompt in prompts] if column is None else map(str, columns[column])
        solutions = [_content(completion) for completion in completions]
        opinions = critic.ask_all(list(zip(problems, solutions, strict=True)))
        rewards = [opinion.probability if isinstance(opinion, Opinion) else None for opinion in opinions]
        log_metric = columns.get("log_metric")
        if callable(log_metric) and rewards:
            log_metric(f"{name}/undecided", rewards.count(None) / len(rewards))
        return rewards

    reward.__name__ = name
    return reward


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    server: str,
    problem_key: str = "question",
    **options: Any,
) -> dict[str, Any]:
    """verl's reward function. Every row has the same keys, as verl demands: score, acc, undecided (1 if the critic
    abstained; then the score is 0), status and reason, as `Opinion` has them.

    `reward.custom_reward_function.reward_kwargs` holds `server`, `problem_key` (of `extra_info`, with the problem as
    text) and options of `ServedCritic`. Raises ValueError for a row without a problem, and what `ServedCritic.ask`
    raises.
    """
    problem = (extra_info or {}).get(problem_key)
    if not isinstance(problem, str) or not problem.strip():
        raise ValueError(
            f"extra_info of a row of {data_source} has no text under {problem_key!r}; write the problem there, or name"
            " its key with reward_kwargs.problem_key"
        )
    critic = _shared(server, {key: value for key, value in options.items() if key not in _NOT_OPTIONS})
    opinion = critic.ask(problem, solution_str)
    score = 0.0 if opinion.probability is None else opinion.probability
    undecided = float(opinion.probability is None)
    return {"score": score, "acc": score, "undecided": undecided, "status": opinion.status, "reason": opinion.reason}


def _shared(server: str, options: dict[str, Any]) -> ServedCritic:
    """One client, and so one set of connections, for all calls with the same options in this process."""
    key = repr((server, sorted(options.items())))
    with _LOCK:
        if key not in _SHARED:
            _SHARED[key] = ServedCritic(server, **options)
        return _SHARED[key]


def _problem_text(prompt: Any) -> str:
    """As the server shows a chat to its critic: the user's message, or, of several turns, all of them in order."""
    if isinstance(prompt, str):
        return prompt
    turns = [message for message in prompt if message["role"] != "system"]
    if len(turns) == 1:
        return _content(turns)
    return "\n\n".join(f"{turn['role']}: {_content([turn])}" for turn in turns)


def _content(completion: Any) -> str:
    """A text, or that of the last message."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"]
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content or ())


def _utf8(text: str) -> str:
    """Without halves of surrogate pairs, which JSON cannot carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _read(answer: Any, server: str, api_key_env: str) -> Opinion:
    if answer.status_code == 200:
        read = [row for row in answer.json()["critiques"] if row["judgement"] is not None]
        if not read:
            return Opinion(None, "unread", "no critique could be read")
        scores = [row.get("score") for row in read]
        accepted = [float(row["judgement"] == "correct") for row in read]
        return Opinion(
            fmean(one if score is None else score for one, score in zip(accepted, scores, strict=True)), "judged"
        )
    if answer.status_code == 401:
        raise ValueError(f"the critic at {server} wants a key: set {api_key_env}")
    error, message = _error(answer), _message(answer)
    if answer.status_code == 413 or error.get("code") == "prompt_refused" or error.get("param") == "solution":
        return Opinion(None, "refused", message)
    raise ValueError(f"the critic at {server} refuses the request (status {answer.status_code}): {message}")


def _error(answer: Any) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _message(answer: Any) -> str:
    return str(_error(answer).get("message") or answer.text[:200])


def _retry_after_s(header: str | None) -> float:
    """Seconds that the server asks to wait; 0 where it asks for nothing that can be read."""
    try:
        seconds = float(header or 0)
    except ValueError:
        return 0.0
    return min(LONGEST_WAIT_S, seconds) if seconds > 0 else 0.0
