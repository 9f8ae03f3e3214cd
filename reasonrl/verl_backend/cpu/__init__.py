"""verl without an accelerator: a platform, a rollout server on transformers, and four places of verl that assume CUDA.

For tests and for trying a recipe out; VERL_PLATFORM=cpu switches it on. Nothing of verl is touched anywhere else.
"""
