"""The ACD as a pure machine: work items, queues, skills, agents, offers, wrap-up, overflow and service level.

It knows nothing of SIP: the server, the simulator and the tests drive the very same object.
"""
