"""What Ray reports of an actor that died, in one sentence."""

from __future__ import annotations

import re

from ray.exceptions import RayActorError


def describe_dead_actor(error: RayActorError) -> str:
    """Ray names the actor in a block of lines; this is its class, process and machine in a sentence."""
    fields = dict(re.findall(r"^\s*(class_name|pid|ip): (.+)$", str(error), re.MULTILINE))
    actor = fields.get("class_name", "a process of the run").rpartition(".")[2]
    place = f" (process {fields['pid']} on {fields['ip']})" if {"pid", "ip"} <= set(fields) else ""
    return f"{actor}{place} has died; its last output is in the logs folder of Ray's session"
