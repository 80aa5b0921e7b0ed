"""Opens a session's room. Only this module knows every kind of room."""

from __future__ import annotations

from visavis.rooms.daily.room import DailyRoom
from visavis.rooms.embedded.room import EmbeddedRoom
from visavis.rooms.livekit.room import LiveKitRoom
from visavis.rooms.port import OpenRoom, RoomEvents
from visavis.rooms.spec import DailyRoomSpec, EmbeddedRoomSpec, IceServer, LiveKitRoomSpec, RoomSpec


async def open_room(
    spec: RoomSpec,
    events: RoomEvents,
    *,
    size_px: tuple[int, int],
    wall_clock_at_start_ns: int,
    ice_servers: tuple[IceServer, ...] = (),
) -> OpenRoom:
    """Open a room, or raise and leave nothing open. The caller closes the room by its sink.

    `wall_clock_at_start_ns`: unix time of the performance's position 0. The room sends it to its viewers, so that sound
    and picture have one clock. `size_px`: width and height of the pictures. Raises `RoomRefused` and `RoomUnreachable`
    for a room of another server, and `RoomPlatformUnavailable` for Daily without its library.
    """
    match spec:
        case EmbeddedRoomSpec():
            servers = (*ice_servers, *spec.ice_servers)
            room = EmbeddedRoom(events, wall_clock_at_start_ns=wall_clock_at_start_ns, ice_servers=servers)
            return OpenRoom(sink=room, entrance=room, audience=room)
        case LiveKitRoomSpec():
            joined = await LiveKitRoom.open(
                spec,
                events,
                size_px=size_px,
                wall_clock_at_start_ns=wall_clock_at_start_ns,
                ice_servers=ice_servers,
            )
            return OpenRoom(sink=joined, audience=joined, agent_side=joined)
        case DailyRoomSpec():
            meeting = await DailyRoom.open(spec, events, size_px=size_px)
            return OpenRoom(sink=meeting, name_plate=meeting)
