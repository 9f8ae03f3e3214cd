"""Steps 1, 2 and 5 to 9 of an update, the same for the local trainer and for verl: see `methods`, `collected`,
`health`, `metrics`.
"""
