"""Untrusted programs: run these programs with these inputs under these limits; outcomes as data."""
