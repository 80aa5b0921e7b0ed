"""What tests and the example of LiveKit rooms need beside this project: a LiveKit server, and an environment in which
livekit-agents runs.
"""
