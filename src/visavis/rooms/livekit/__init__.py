"""Rooms on a LiveKit server: the avatar joins as a participant, publishes its tracks, and speaks what an agent sends.

`participant` is the connection, `signalling` its WebSocket; `segments` decides what an agent's byte streams mean, and
`room` puts them together. Messages are those of livekit-protocol; the rules are those of livekit-agents' avatars.
"""
