"""The ACD in virtual time: a discrete-event simulation that drives the very object the server drives.

Pure like the rest: chance comes from a function that is passed in, time is made of events.
"""
