"""Measures the strategies beside a bare loop and their peers, in the same run.

    python -m benchmarks

Not a part of the package that is installed.
"""
