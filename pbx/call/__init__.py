"""Calls, legs and bridges without I/O: hold, transfer, conference, and the policy of recording and supervision.

SIP events become neutral leg events here, so that any leg can be the other end of any other.
"""
