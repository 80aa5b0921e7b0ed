"""What the machine gives to this process and its siblings: cores, and what is taken of them. Linux; elsewhere it is the
number of cores alone.
"""
