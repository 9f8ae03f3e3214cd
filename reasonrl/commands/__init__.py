"""What the commands do, one module for each family; `cli.py` holds their signatures."""
