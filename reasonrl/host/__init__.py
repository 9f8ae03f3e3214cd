"""The process and its machine: files, folders of the home, networks, terminals, places for results."""
