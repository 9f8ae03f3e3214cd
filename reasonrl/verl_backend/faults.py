"""What Ray says of the dead, in a sentence."""

from __future__ import annotations

import re

from ray.exceptions import RayActorError


def who_died(error: RayActorError) -> str:
    """Ray says which actor in a block of lines."""
    told = dict(re.findall(r"^\s*(class_name|pid|ip): (.+)$", str(error), re.MULTILINE))
    who = told.get("class_name", "a process of the run").rpartition(".")[2]
    where = f" (process {told['pid']} on {told['ip']})" if {"pid", "ip"} <= set(told) else ""
    return f"{who}{where} has died; its last words are in the logs folder of Ray's session"
