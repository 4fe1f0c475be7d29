"""The stages of a call's life: each session serves one leg until it hands over to the next."""
