"""Calls on their way out: a function and its arguments become the record of a task."""
