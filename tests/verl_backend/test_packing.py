"""Episodes on their way through verl: what JSON or UTF-8 lacks does not stop a step."""

from __future__ import annotations

from typing import Any

import numpy as np

from reasonrl.environments.base import Episode, Trajectory
from reasonrl.verl_backend.rows import pack_episode, unpack_episode
from verifiers.types import Problem


def test_columns_that_json_lacks_are_packed_as_samples_have_them() -> None:
    problem = Problem("p", "q", "math", {"answer": "1"}, "s")
    own = Trajectory("policy", [5], [7], [True], [-0.5], "\ud83d", "stop")
    episode = Episode(problem, 0, 9, [own], {}, {}, sample_fields={"tools": {"b"}, "size": np.float32(0.5)})
    packed = pack_episode(episode, None)
    fields: dict[str, list[Any]] = {"prompts": [5], "responses": [7], "response_mask": [1], "rollout_log_probs": [-0.5]}
    back = unpack_episode(packed.encode("utf-8").decode("utf-8"), problem, fields)
    assert back.sample_fields == {"tools": ["b"], "size": 0.5} and back.trained_trajectory == own
