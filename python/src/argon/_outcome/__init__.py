"""What comes back from a task: its value or its error, and the future that is ended with it."""
