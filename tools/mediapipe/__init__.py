"""MediaPipe itself, which only tests and tools use: it tracks faces on films, and is what our own networks are compared
with. It needs numpy 1 and protobuf 4, so it has an environment of its own, and its programs run as processes.
"""
