"""What people see of clients, tasks and maps: `repr`, the tables of notebooks, and bars of progress."""
