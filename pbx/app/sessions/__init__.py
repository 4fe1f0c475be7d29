"""Stages of a call: what serves its anchor leg, one file each."""
