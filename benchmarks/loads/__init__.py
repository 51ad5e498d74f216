"""The loads, one a file, and the list of them in `all`."""
