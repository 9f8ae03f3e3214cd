"""Advantage estimators, one file each: `advantages(name, rewards, group, judged, **needs) -> [B]`.

`reasonrl.algorithms.catalogue.ADVANTAGES` lists them and says what each needs. Every estimator gives exactly 0 to a row
that could not be judged, and leaves such rows out of the baseline.
"""
