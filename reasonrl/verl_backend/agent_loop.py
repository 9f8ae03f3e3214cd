"""Steps 3 and 4 on verl: an environment plays one episode on verl's servers, and the worker that played it judges it.

The environment, the format of critiques, the verifiers and their reward parts are those of the recipe, unchanged. An
episode that cannot be played (a server died, a role does not answer) or judged becomes a row without tokens to learn
from, with its reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import json
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from ray.exceptions import RayActorError, RayError
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput, register

from reasonrl.engines.base import Generation, Sampling, derive_seed
from reasonrl.engines.served import ServedFailure
from reasonrl.environments.base import Environment
from reasonrl.environments.reviews import Reviewer
from reasonrl.environments.roles import Speaker
from reasonrl.errors import ModelError
from reasonrl.models.loading import end_token_ids, load_generation_config
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import total_reward
from reasonrl.rewards.scoring import score_episodes
from reasonrl.setup.environments import environment_maker, rollout_sampling
from reasonrl.setup.reviewers import make_reviewers
from reasonrl.setup.roles import evaluation_roles, reviewing_roles, roles_without_engines
from reasonrl.verl_backend.faults import describe_dead_actor
from reasonrl.verl_backend.rows import AGENT, FIELD, pack_episode, pack_failure
from reasonrl.verl_backend.stage import verl_stage
from verifiers.types import Problem

Result = TypeVar("Result")

TRANSIENT_ERRORS = (ModelError, ServedFailure, TimeoutError, OSError, RayError)
"""What may happen to a single rollout: a server, a role or a judge does not answer. The rollout is masked and counted.
Any other exception is a fault in code and ends the run.
"""


class ServerEngine:
    """verl's servers as an environment sees an engine. All roles that are not served elsewhere are played by the
    trained weights.

    Args:
        session: verl sends all requests of a session to one server, so that the turns of an episode find their prefix
            in its cache; empty: every request to the server that has the least to do.
    """

    def __init__(self, client: Any, eos_ids: Sequence[int], tokenizer: Any, *, session: str = "") -> None:
        self._client, self._eos, self._tokenizer = client, frozenset(eos_ids), tokenizer
        self._session = session
        self.extra: dict[str, Any] = {}
        """Fields of the answers that verl wants back: the versions of the weights, from the first answer to the last.
        """

    async def generate(self, token_ids: Sequence[int], sampling: Sampling, seed: int) -> Generation:
        return await self.request(self._session or uuid4().hex, token_ids, sampling, seed)

    async def generate_many(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> list[Generation]:
        requests = zip(prompts, seeds, strict=True)
        return list(await asyncio.gather(*(self.request(uuid4().hex, ids, sampling, seed) for ids, seed in requests)))

    async def elsewhere(self, call: Awaitable[Result]) -> Result:
        """Episodes do not wait for each other here."""
        return await call

    def role(self, name: str) -> ServerEngine:
        raise ValueError(
            f"verl has no engine for the role '{name}': serve its model and write the address, or write model: same"
        )

    async def request(self, request_id: str, token_ids: Sequence[int], sampling: Sampling, seed: int) -> Generation:
        """`request_id`: verl sends those with the same one to the same server."""
        parameters: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or -1,
            "max_tokens": sampling.max_new_tokens,
            "logprobs": True,
            "seed": seed % 2**63,
        }
        if sampling.stop:
            # vLLM and SGLang look for stop strings in the text without special tokens unless they are told otherwise.
            parameters |= {"stop": list(sampling.stop), "skip_special_tokens": False}
        answer = await self._client.generate(
            request_id=request_id, prompt_ids=list(token_ids), sampling_params=parameters
        )
        if answer.stop_reason == "aborted" or not answer.token_ids:
            raise ModelError("the rollout server gave no answer (aborted)")
        first = self.extra.get("min_global_steps", answer.extra_fields.get("min_global_steps"))
        self.extra = {**answer.extra_fields, "min_global_steps": first}
        return Generation(
            list(answer.token_ids), list(answer.log_probs), self._finish_reason(answer.token_ids, sampling)
        )

    def _finish_reason(self, token_ids: Sequence[int], sampling: Sampling) -> Any:
        """verl calls an answer completed whether it ended or was cut off, and its servers cut sooner than they were
        told where a context is full. What has no end was cut off, however short: half a call must not be executed.
        """
        if token_ids[-1] in self._eos:
            return "stop"
        tail = self._tokenizer.decode(list(token_ids)[-64:]) if sampling.stop else ""
        return "stop" if any(stop in tail for stop in sampling.stop) else "length"


def verl_actor(recipe: Recipe, tokenizer: Any) -> Speaker | None:
    """The refiner, served elsewhere or played by the trained weights; None without refinements."""
    return roles_without_engines(evaluation_roles(recipe), tokenizer).speaker("actor")


_environments: dict[int, Environment] = {}


def training_environment(recipe: Recipe, tokenizer: Any) -> Environment:
    """The environment of the rollouts. One serves all episodes of a process, as in a local run: what it has loaded is
    loaded once.
    """
    if id(tokenizer) not in _environments:
        make = environment_maker(recipe, tokenizer, verl_actor(recipe, tokenizer))
        _environments[id(tokenizer)] = make(rollout_sampling(recipe))
    return _environments[id(tokenizer)]


_reviewers: dict[int, list[Reviewer]] = {}


def training_reviewers(recipe: Recipe, tokenizer: Any) -> list[Reviewer]:
    """The critics in the reward: served, or the trained weights."""
    if id(tokenizer) not in _reviewers:
        roles = roles_without_engines(reviewing_roles(recipe), tokenizer)
        _reviewers[id(tokenizer)] = make_reviewers(recipe, roles)
    return _reviewers[id(tokenizer)]


def end_tokens(tokenizer: Any, model_path: str) -> list[int]:
    """Every token that ends a response, by the rule of local runs."""
    return end_token_ids(tokenizer, _generation_config(model_path))


_generation_config = functools.cache(load_generation_config)


@register(AGENT)
class ReasonrlLoop(AgentLoopBase):
    """One episode of the recipe's environment for each session. Judging ends by the verifiers' own deadlines, or by the
    recipe's.
    """

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        stage = verl_stage()
        recipe, problem = stage.recipe, Problem(**json.loads(kwargs["problem"]))
        step, rollout = int(kwargs["global_steps"]), int(kwargs["first_rollout"]) + int(kwargs["session_id"])
        engine = ServerEngine(
            self.server_manager,
            end_tokens(self.tokenizer, self.config.actor_rollout_ref.model.path),
            self.tokenizer,
            session=uuid4().hex,
        )
        environment = training_environment(recipe, self.tokenizer)
        seed = derive_seed(recipe.seed, "rollout", step, kwargs["round"], problem.id, rollout)
        try:
            episode = await play_with_deadline(
                recipe.verl.episode_timeout_s, environment.episode(problem, rollout, seed, engine)
            )
            judging = functools.partial(
                score_episodes, [episode], stage.parts, on_timeout=recipe.train.on_timeout, step=step
            )
            for reviewer in training_reviewers(recipe, self.tokenizer):
                await play_with_deadline(
                    recipe.verl.episode_timeout_s, reviewer.review(episode, derive_seed(seed, "review"), engine)
                )
            async with _judge_slots():
                await run_with_deadline(recipe.verl.judge_timeout_s, judging, "verl.judge_timeout_s")
        except Exception as error:  # goes to the trainer, which masks and counts the row, or stops the run
            reason = ModelError(describe_dead_actor(error)) if isinstance(error, RayActorError) else error
            return self._masked(pack_failure(reason, stops=not isinstance(error, TRANSIENT_ERRORS)), engine, step)
        trained = episode.trained_trajectory
        # What a critic's judgement is worth the trainer alone knows: it has the rollouts of the steps before.
        reward = None if episode.reviews else total_reward(episode, stage.parts)
        if not trained.response_ids:
            return self._masked(pack_failure(ModelError("the response has no tokens"), stops=False), engine, step)
        return AgentLoopOutput(
            prompt_ids=trained.prompt_ids,
            response_ids=trained.response_ids,
            response_mask=[int(m) for m in trained.loss_mask],
            response_logprobs=trained.logprobs,
            reward_score=0.0 if reward is None else reward,
            num_turns=sum(trajectory.policy_turns for trajectory in episode.trajectories),
            metrics={},
            extra_fields=self._extra(engine, step) | {FIELD: pack_episode(episode, reward)},
        )

    def _masked(self, packed: str, engine: ServerEngine, step: int) -> AgentLoopOutput:
        end = int(self.tokenizer.eos_token_id)
        return AgentLoopOutput(
            prompt_ids=[end],
            response_ids=[end],
            response_mask=[0],
            response_logprobs=[0.0],
            reward_score=0.0,
            num_turns=0,
            metrics={},
            extra_fields=self._extra(engine, step) | {FIELD: packed},
        )

    def _extra(self, engine: ServerEngine, step: int) -> dict[str, Any]:
        """verl computes how old the weights of a row were from these; its own loops get them from the server's
        answer.
        """
        version = engine.extra.get("global_steps")
        version = step - 1 if version is None else version  # nothing was answered
        versions = {"min_global_steps": version, "max_global_steps": version}
        return versions | {"turn_scores": [], "tool_rewards": [], "reward_extra_info": {}} | engine.extra


@functools.cache
def _judge_slots() -> asyncio.Semaphore:
    """Bounds concurrent verifications: more would only contend for the cores and hit their deadlines."""
    return asyncio.Semaphore(4 + (os.cpu_count() or 1))


async def play_with_deadline(seconds: float, episode: Awaitable[Result]) -> Result:
    """Await an episode, or its review. Raises TimeoutError with its key after `seconds`; a TimeoutError of the episode
    passes.

    It ends what awaits. A call that blocks the event loop blocks this deadline too: `engine.elsewhere` with a thread is
    the way to make it.
    """
    playing = asyncio.ensure_future(episode)
    try:
        done, _ = await asyncio.wait({playing}, timeout=seconds)
    finally:
        playing.cancel()
    if not done:
        raise TimeoutError(f"the episode was not over after {seconds:g} s (verl.episode_timeout_s)")
    return playing.result()


async def run_with_deadline(seconds: float, call: Callable[[], None], key: str) -> None:
    """Run `call` in a separate thread. Raises TimeoutError after `seconds`. The thread neither blocks the next call (in
    a pool it would) nor keeps the process from ending, and it is told to stop: a loop in Python ends there, a call that
    blocks outside of Python when it returns.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if not done.done():
            done.set_exception(error) if error is not None else done.set_result(None)

    def run() -> None:
        error: BaseException | None = None
        try:
            call()
        except BaseException as raised:  # raised again where it is awaited
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for this verdict any more
            loop.call_soon_threadsafe(tell, error)

    thread = threading.Thread(target=run, name="judge", daemon=True)
    thread.start()
    try:
        await asyncio.wait_for(done, seconds)
    except TimeoutError:
        if done.cancelled():
            _stop_thread(thread)
            raise TimeoutError(f"no verdict after {seconds:g} s ({key})") from None
        raise


class _GivenUp(BaseException):
    """Raised within a thread whose result nobody waits for any more; no `except Exception` catches it."""


def _stop_thread(thread: threading.Thread) -> None:
    if thread.ident is not None and thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_GivenUp))
