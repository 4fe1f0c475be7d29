"""Parts of the media benchmark: the C programs it compiles, and what runs and measures them."""
