"""Pairs of a reference and an answer that are right or wrong by construction: generated, then rewritten in steps that
keep the verdict or change it. `.venv/bin/python -m tests.verifiers.metamorphic.survey 2000` prints what fails.
"""
