"""What runs inside a sandbox: the standard library alone, one process after the other.

    zygote      waits for samples, with the usual modules imported already
    supervisor  one for each sample, process 1 of fresh namespaces: starts, watches and ends the program
    program     the untrusted program itself, without any right

These files are copied into the sandbox and import nothing of the project but each other and `verifiers.sandbox.values`.
"""
