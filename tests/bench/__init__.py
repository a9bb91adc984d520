"""Performance figures of the product as ratios against yardsticks taken in the same run: `python -m tests.bench`."""
