"""Desktops' commands carried out, and supervision."""
