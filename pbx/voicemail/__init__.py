"""Voice mailboxes: messages, greetings, PINs and what may be done with them.

A pure state machine; :mod:`pbx.app.voicemail.mailboxes` drives it.
"""
