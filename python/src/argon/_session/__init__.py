"""Session of a client: its tasks until their outcomes are here, the threads that move its bytes, and its end."""
