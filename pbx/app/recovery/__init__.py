"""Surviving the death of call control or of a gateway."""
