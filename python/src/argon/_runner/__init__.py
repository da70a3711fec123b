"""The Python runner: the program that executes the tasks of one client (``spec/runner.md``, sections 1 to 5).

It is embedded in the worker, which sends it to a plain ``python3``: no file here may need more than the standard
library. Clients do not import it.
"""
