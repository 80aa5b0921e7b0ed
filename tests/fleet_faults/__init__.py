"""`make fleet-faults`: a fleet of three servers and four machines in network namespaces, and what it survives.

pytest collects the quick test_*.py by itself, and the long ones only when they are named (Makefile).
"""
