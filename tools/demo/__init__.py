"""``make demo``: a real call through Tandem on loopback, shown while it happens and verified by what is heard."""
