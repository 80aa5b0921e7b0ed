"""`visavis inspect`: everything a face can do, on one sheet to look at. Most faults of a face are seen in seconds and
found by no assertion.
"""
