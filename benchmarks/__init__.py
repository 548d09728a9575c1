"""Speed of meta-steps compared with other frameworks: `python -m benchmarks`."""
