"""Episodes: what happens between a problem and its verdicts, as one async function over an engine."""
