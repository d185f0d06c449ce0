"""How a new version takes over from the old one: steps, judgement, state. Pure: no AWS, no cluster, no clock, no I/O.

The release step of a cluster and environment `local` decide by the same code, and so do the tests.
"""
