"""Legs and where they lead: routing, ways out, transfers, feature codes, limits, who a caller is."""
