"""The catalogue of domain events and the folds over their log.

Every fact is one event with a sequence number; call detail records, KPIs, the wallboard and restart recovery are folds.
"""
