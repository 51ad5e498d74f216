"""The comparison: real connections at every strategy, and a table of what each one costs.

Run it with `python -m serverstrategy compare`. The room needs the extra `compare`
(`pip install 'serverstrategy[compare]'`); nothing else in the package imports it.
"""
