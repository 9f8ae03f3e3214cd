"""The benchmarks' own forms of tests, one file each."""
