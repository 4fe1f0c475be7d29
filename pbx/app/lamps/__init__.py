"""What phones show of others: lamps, presence, messages waiting."""
