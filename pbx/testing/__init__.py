"""Doubles that ship with Tandem: virtual time, seeded ids, a simulated network, scripted phones, a fake gateway."""
