"""Worker processes that can be killed: our own code on untrusted text. See `pool`."""
