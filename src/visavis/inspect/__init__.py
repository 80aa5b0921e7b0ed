"""`visavis inspect`: a sheet that shows everything a face can do. A person sees most faults of a face in seconds; no
assertion finds them.
"""
