"""What callers hear when nobody talks: files, synthesised speech, tones and hold music, rendered once and shared."""
