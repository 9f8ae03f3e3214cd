"""What every process of verl imports, through verl's entry-point group `verl.plugins` or VERL_USE_EXTERNAL_MODULES.

The launcher uses the second way: verl swallows an entry point that fails to load. Without the launcher nothing here
does anything.
"""

import os

if os.environ.get("VERL_PLATFORM", "").lower() == "cpu":
    from reasonrl.verl_backend.cpu import platform  # noqa: F401  (before anybody asks verl for its platform)
    from reasonrl.verl_backend.cpu.patches import apply

    apply()

if os.environ.get("REASONRL_VERL_STAGE"):
    from reasonrl.verl_backend import agent_loop, engine, losses, reward_manager, trainer  # noqa: F401  (importing registers them)
