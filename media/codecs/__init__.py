"""The audio codecs: one file and one registry row each."""
