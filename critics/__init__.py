"""Is this reasoning right? What a critic reads, writes and is judged by. Stands on `verifiers`; knows nothing of
training.
"""

from critics.types import CriticEpisode, Critique, Judgement, ParseStatus, Refinement, Solution, StepJudgement

__all__ = ["CriticEpisode", "Critique", "Judgement", "ParseStatus", "Refinement", "Solution", "StepJudgement"]
