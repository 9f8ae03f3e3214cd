"""Golden numbers: inputs with the values that each method's formula gives for them.

The files `*.json` hold cases. `reference/` computes their `expected` in plain Python and imports nothing of reasonrl;
`python -m tests.golden.reference` writes the files anew after a change of an input.
"""
