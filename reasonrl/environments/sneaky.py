"""The game of SPC (arXiv:2504.19162): a sneaky generator spoils a right step, a solver shows whether that does harm, a
critic judges it.

    1 sneaky   a right step of a right solution -> a step that looks right and is not
    2 solver   continues `completions` times from the right step and from the spoilt one; the spoilt one counts when the
               solver arrives at least 75% of the time from the first and never from the second
    3 critic   judges the spoilt step, and the right one that it was made of: both labels are equally frequent

All three are roles that are not trained while they play: what they said is kept with what it earned, and trained on
afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from critics.formats import CritiqueFormat
from critics.formats.base import question_of
from critics.rewards import Validation, sneaky_reward, spc_critic
from critics.sneaky import SneakyPrompt, spoilt_step
from critics.types import CriticEpisode, Judgement, Solution
from critics.verifier import solution_of
from reasonrl.engines.base import RoleEngines, derive_seed
from reasonrl.environments.roles import ServedFailure, Speaker
from verifiers.types import Message, Problem, Verifier


@dataclass
class Turn:
    """What a trained role said in a game, and what it earned."""

    prompt: list[Message]
    response: str
    reward: float


@dataclass
class Game:
    """One attempt to spoil one step."""

    problem: Problem
    step: int
    error_type: str
    original: str
    spoilt: str | None = None
    """None: there was no new step."""
    before: float | None = None
    """Success rate of the solver from the right step."""
    after: float | None = None
    """The same from the spoilt one."""
    validated: bool = False
    detected: bool | None = None
    """Whether the critic called the spoilt step wrong; None where it was not asked or said nothing that could be read.
    """
    false_alarm: bool | None = None
    """Whether it called the right step wrong."""
    failure: str = ""
    """A role did not answer, or an answer could not be judged: nobody earns anything."""
    sneaky_turns: list[Turn] = field(default_factory=list)
    critic_turns: list[Turn] = field(default_factory=list)


class SneakyGame:
    """`play` is one game; the random choices in it come from its seed."""

    def __init__(
        self,
        *,
        sneaky: Speaker,
        solver: Speaker,
        critic: Speaker,
        oracle: Verifier,
        format: CritiqueFormat,
        prompt: SneakyPrompt,
        validation: Validation,
        completions: int = 8,
        detected_reward: float = -1.0,
    ) -> None:
        self._sneaky, self._solver, self._critic, self._oracle = sneaky, solver, critic, oracle
        self._format, self._prompt, self._validation = format, prompt, validation
        self._completions, self._detected_reward = completions, detected_reward

    async def play(self, problem: Problem, rollout: int, seed: int, engines: RoleEngines) -> Game:
        """A problem of kind "critique" with a right solution in steps. Raises ValueError for a solution without
        steps.
        """
        steps = solution_of(problem.reference, problem.id).steps
        if not steps:
            raise ValueError(f"the solution of problem {problem.id} is not split into steps: there is nothing to spoil")
        index = derive_seed(seed, "step") % len(steps)
        kinds = self._prompt.error_types
        game = Game(problem, index, kinds[derive_seed(seed, "error") % len(kinds)], steps[index])
        prefix = steps[:index]
        try:
            prompt = self._prompt.render(problem, prefix, game.original, game.error_type)
            (answer,) = await self._sneaky.say([prompt], [derive_seed(seed, "sneaky")], engines)
            game.spoilt = spoilt_step(answer.text, game.original)
            if game.spoilt is not None:
                await self._validate(game, prefix, seed, engines)
            if game.validated:
                await self._judge(game, prefix, seed, engines)
        except ServedFailure as failure:
            game.failure = str(failure)
        if not game.failure:
            reward = sneaky_reward(game.validated, game.detected, detected_reward=self._detected_reward)
            game.sneaky_turns.append(Turn(prompt, answer.text, reward))
        return game

    async def _validate(self, game: Game, prefix: Sequence[str], seed: int, engines: RoleEngines) -> None:
        assert game.spoilt is not None
        # After the last step no further line is begun: a solver that sees one begun would write it.
        separator = "\n" if len(prefix) + 1 < len(solution_of(game.problem.reference, game.problem.id).steps) else ""
        beginnings = ["\n".join([*prefix, step]) + separator for step in (game.original, game.spoilt)]
        chats: list[list[Message]] = [
            [{"role": "user", "content": question_of(game.problem)}, {"role": "assistant", "content": text}]
            for text in beginnings
            for _ in range(self._completions)
        ]
        seeds = [derive_seed(seed, "solver", i) for i in range(len(chats))]
        answers = await self._solver.say(chats, seeds, engines)
        texts = [
            text + answer.text
            for text, answer in zip([b for b in beginnings for _ in range(self._completions)], answers, strict=True)
        ]
        verdicts = self._oracle.verify(texts, [game.problem.reference] * len(texts))
        rates = []
        for half in (verdicts[: self._completions], verdicts[self._completions :]):
            judged = [verdict.correct for verdict in half if verdict.correct is not None]
            if not judged:
                game.failure = f"no completion of the solver could be judged: {half[0].reason}"
                return
            rates.append(sum(judged) / len(judged))
        game.before, game.after = rates
        game.validated = self._validation.accepts(*rates)

    async def _judge(self, game: Game, prefix: Sequence[str], seed: int, engines: RoleEngines) -> None:
        """The spoilt step and the right one, in one request."""
        assert game.spoilt is not None
        solutions = []
        for step, wrong in ((game.spoilt, True), (game.original, False)):
            steps = (*prefix, step)
            solutions.append(
                Solution(game.problem.id, "\n".join(steps), steps, first_error=len(prefix) if wrong else -1)
            )
        chats = [self._format.render(game.problem, solution) for solution in solutions]
        answers = await self._critic.say(chats, [derive_seed(seed, "critic", i) for i in range(2)], engines)
        term = spc_critic()
        for chat, answer, solution in zip(chats, answers, solutions, strict=True):
            critique = self._format.parse(answer.text, len(solution.steps))
            reward = term(CriticEpisode(game.problem, solution, critique))
            assert reward is not None
            game.critic_turns.append(Turn(chat, answer.text, reward))
            flagged = None if critique.judgement is None else critique.judgement is Judgement.INCORRECT
            if solution is solutions[0]:
                game.detected = flagged
            else:
                game.false_alarm = flagged
