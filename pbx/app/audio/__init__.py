"""What callers and agents hear, and what is recorded: the gateways, prompts, recordings."""
