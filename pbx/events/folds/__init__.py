"""Incremental folds over the event log: what is now, what was per call, who is concerned.

Every fold is fed each record once and in order, and can be written down and read back between any two:
folding the whole log and folding the rest onto a snapshot give the same.
"""
