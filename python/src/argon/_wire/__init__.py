"""The way to a manager: numbers of the wire, keys, addresses, dialling, one connection. Knows nothing of tasks."""
