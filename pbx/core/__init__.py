"""What every pure machine stands on: the deadline heap, the source of ids, the base of outputs, the error families.

It imports nothing of ours.
"""
