"""Code and values that travel: payloads, functions by name or by value, modules, exceptions. Opens no connection."""
