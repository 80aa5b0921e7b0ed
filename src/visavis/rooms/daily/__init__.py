"""Rooms on Daily: the avatar joins as a participant, through Daily's own library (the extra `visavis[daily]`).

`library` is the part of daily-python that a room uses; `outbox` writes its pictures and sound; `ends` reads what Daily
says when a room is over; `room` puts them together.
"""
