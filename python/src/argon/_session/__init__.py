"""What a client keeps: its tasks until their outcomes are here, the threads that move its bytes, and how it ends."""
