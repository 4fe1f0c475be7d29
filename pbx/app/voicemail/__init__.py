"""Mailboxes on calls."""
