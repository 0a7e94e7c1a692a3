"""What an image costs: `python -m benchmarks.cost` writes reports/performance.json and .md."""
