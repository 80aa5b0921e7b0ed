"""Rooms of this service's own on servers of others: proxy rooms on the operator's LiveKit server (`livekit`, `rooms`),
and Daily rooms for hosted sessions (`daily`, `daily_rooms`).

`livekit` and `daily` speak to their servers; `kept_rooms` deletes the rooms of both, also those that a crash has left.
"""
