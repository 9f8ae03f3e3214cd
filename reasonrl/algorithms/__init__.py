"""The learning methods as pure functions on tensors: one method, one file; no globals, no model, no trainer."""
