"""A pool of this machine that belongs to this program, and the program `argon` that it takes."""
