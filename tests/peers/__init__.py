"""Our scores beside those of other harnesses, on the same saved responses. By hand: `make test-eval`."""
