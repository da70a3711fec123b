"""Outcomes of tasks: values and errors, and the futures that end with them."""
