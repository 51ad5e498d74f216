"""The clients, in a process of their own, so that no server waits for the command."""
