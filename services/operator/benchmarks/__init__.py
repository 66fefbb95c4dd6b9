"""
Benchmarks: figures as ratios inside one run, because machines are shared and noisy.
"""
