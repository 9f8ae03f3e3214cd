"""One layer a file. Each takes a `Pair` and decides, or passes it on with None."""
