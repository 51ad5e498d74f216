"""The servers that are measured, each in a process of its own.

A process loads only what its server needs: what a fork costs grows with what the parent has loaded.
"""
