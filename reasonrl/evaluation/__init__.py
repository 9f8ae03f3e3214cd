"""Measuring a model: accuracy with intervals, and comparing two."""
