"""What an image costs: `python -m benchmarks.cost` writes reports/performance.json and .md."""

from lr_edit.execution.environment import pin_environment

pin_environment()  # before torch is imported
