"""Examples of answers, for the description of the API. They are made of the answers' own models, so that none can lack
a member; docs/reference shows the same ones.
"""

from __future__ import annotations

from visavis.api.schemas import (
    avatar_schemas,
    browser_schemas,
    metrics_schemas,
    room_schemas,
    server_schemas,
    session_schemas,
    usage_schemas,
)
from visavis.api.schemas.parts import Done, SessionAvatar
from visavis.sessions.lifecycle import Status

SESSION_ID = "sess_01J8Z3N5K7Q9R2T4V6X8Y0A1B2"
OWN_SESSION_ID = "sess_01J8Z4P6M8R0S3V5W7Y9Z1B2C3"
LOOK_ID = "avat_01J8Z3N5K7Q9R2T4V6X8Y0A1B4"
CHARACTER_ID = "avat_01J8Z3N5K7Q9R2T4V6X8Y0A1B3"
CREATED, STARTED, ENDED, EXPIRES = (
    "2024-01-15T12:00:00Z",
    "2024-01-15T12:00:02Z",
    "2024-01-15T12:05:32Z",
    "2024-01-15T14:00:02Z",
)
TOKEN = "Y0dqkcV2H9pVbJmKx3f7sT1wLzQ4nR8uE6aG5iCoDhM"
ROOM_TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb29tIjoidnYtOGEzZCJ9.kQ2x"
BROWSER_TOKEN = browser_schemas.BrowserTokenMinted(
    token=browser_schemas.BrowserToken(
        token_id="tok_01J8Z3N5K7Q9R2T4V6X8Y0A1B7",
        token="vvt_7Yk2mQ9xZc4VbN1pLw8RtG5hJs3KdF6aXe0UoIiTyPr",
        purpose="watch",
        expires_at="2024-01-15T12:10:00Z",
        origins=["https://www.example.com"],
    )
)
METADATA = {"user_name": "John Doe"}
URL = "https://avatars.example.com"
_SIGNED = "?e=1705330800&s=kW8vQ2mX5nR7tY4uB1cD9g"  # the query of a private picture's address

_AVATAR = SessionAvatar(
    avatar_id=LOOK_ID, name="Professional Avatar (Look)", url=f"{URL}/media/avatars/{LOOK_ID}/image.jpg{_SIGNED}"
)
_ROOM = room_schemas.DailyRoom(url=f"{URL}/rooms/vv-8a3d", name="vv-8a3d", token=ROOM_TOKEN)
_USAGE = usage_schemas.Usage(
    concurrency=usage_schemas.Concurrency(current=0, max=1, available=1),
    minutes=usage_schemas.Minutes(total_remaining=120),
)
_UNLIMITED = usage_schemas.Usage(
    concurrency=usage_schemas.Concurrency(current=1, max=None, available=None),
    minutes=usage_schemas.Minutes(total_remaining=None),
)

HOSTED_CREATED = session_schemas.HostedCreated(
    session=session_schemas.CreatedHostedSession(
        session_id=SESSION_ID,
        avatar=_AVATAR,
        status=Status.CREATED,
        access_token=TOKEN,
        started_at=None,
        ended_at=None,
        expiration=None,
        daily_room=_ROOM,
        created_at=CREATED,
        metadata=METADATA,
    ),
    usage=_USAGE,
)
_OWN = session_schemas.CreatedOwnSession(
    session_id=OWN_SESSION_ID,
    status=Status.STARTED,
    session_token=TOKEN,
    started_at=STARTED,
    ended_at=None,
    expiration=None,
    metadata=METADATA,
    aspect_ratio="4:3",
)
_EMBEDDED_ROOM = room_schemas.EmbeddedRoom(url=f"{URL}/rooms/vv-1c9e", name="vv-1c9e", token=ROOM_TOKEN)
OWN_CREATED = session_schemas.OwnCreated(
    session=session_schemas.CreatedEmbeddedSession(**dict(_OWN), room=_EMBEDDED_ROOM),
    room=_EMBEDDED_ROOM,
    usage=_UNLIMITED,
)
_PROXY_ROOM = room_schemas.ProxyRoom(roomURL="wss://livekit.example.com", participantToken=ROOM_TOKEN)
PROXY_CREATED = session_schemas.ProxyCreated(
    session=session_schemas.CreatedProxySession(**dict(_OWN), room=_PROXY_ROOM),
    room=_PROXY_ROOM,
    usage=_UNLIMITED,
)
CHANNEL = session_schemas.Started(ws_uri=f"wss://avatars.example.com/v1/channel/{SESSION_ID}", expiration=EXPIRES)
TRY_AGAIN = session_schemas.Started(ws_uri="try_again", expiration=None)

_ENDED = session_schemas.HostedSession(
    session_id=SESSION_ID,
    avatar=_AVATAR,
    status=Status.ENDED,
    started_at=STARTED,
    ended_at=ENDED,
    expiration=EXPIRES,
    duration=330,
    daily_room=_ROOM,
    created_at=CREATED,
    metadata=METADATA,
)
_RUNNING = session_schemas.OwnSession(
    session_id=OWN_SESSION_ID,
    status=Status.STARTED,
    started_at=STARTED,
    ended_at=None,
    expiration=None,
    duration=42,
    metadata=METADATA,
)
HOSTED_SESSION = session_schemas.OneSession(session=_ENDED)
OWN_SESSION = session_schemas.OneSession(session=_RUNNING)
_ENDED_OWN = dict(_RUNNING) | {"status": Status.ENDED, "ended_at": ENDED, "duration": 330}
_BILLED = {"minutes": 6, "included_minutes": 6, "purchased_minutes": 0}
ENDED_OWN_SESSION = session_schemas.OneSession(
    session=session_schemas.EndedOwnSession(**_ENDED_OWN, billing=session_schemas.Billing(**_BILLED))
)
ENDED_OWN_SESSION_WITH_SECONDS = session_schemas.OneSession(
    session=session_schemas.EndedOwnSession(
        **_ENDED_OWN, billing=session_schemas.BillingWithSeconds(**_BILLED, seconds=330, seen_seconds=322)
    )
)
SESSIONS = session_schemas.ManySessions(sessions=[_RUNNING, _ENDED])
SESSION_PAGE = session_schemas.SessionPage(sessions=[_RUNNING], next_cursor=f"1705320000000-{OWN_SESSION_ID}")
HOSTED_ENDED = session_schemas.HostedEnded(
    session=session_schemas.EndedHostedSession(
        session_id=SESSION_ID,
        avatar=_AVATAR,
        status=Status.ENDED,
        started_at=STARTED,
        ended_at=ENDED,
        created_at=CREATED,
    )
)
OWN_ENDED = session_schemas.OwnEnded(
    session=session_schemas.OwnEnd(session_id=OWN_SESSION_ID, status=Status.ENDED, started_at=STARTED, ended_at=ENDED)
)

_CHARACTER = avatar_schemas.Avatar(
    avatar_id=CHARACTER_ID,
    name="Professional Avatar",
    preview_img_url=f"{URL}/media/avatars/{LOOK_ID}/preview.jpg{_SIGNED}",
    parent_id=None,
    looks_count=1,
    video_url=None,
    is_favorite=0,
    is_public=0,
    active=1,
    created_at=CREATED,
    updated_at=CREATED,
)
_LOOK = avatar_schemas.Avatar(
    **dict(_CHARACTER)
    | {"avatar_id": LOOK_ID, "name": "Professional Avatar (Look)", "parent_id": CHARACTER_ID, "looks_count": 0}
)
_FLAT = avatar_schemas.FlatAvatar(
    avatar_id=LOOK_ID,
    tags=[],
    preview_url=f"{URL}/media/avatars/{LOOK_ID}/preview.jpg{_SIGNED}",
    image_url=f"{URL}/media/avatars/{LOOK_ID}/image.jpg{_SIGNED}",
)
CHARACTERS = avatar_schemas.ManyAvatars(avatars=[_CHARACTER])
LOOKS = avatar_schemas.ManyAvatars(avatars=[_LOOK])
PUBLIC_AVATARS = avatar_schemas.ManyAvatars(
    avatars=[
        avatar_schemas.Avatar(
            **dict(_CHARACTER)
            | {
                "name": "Iris",
                "is_public": 1,
                "looks_count": 2,
                "preview_img_url": f"{URL}/media/avatars/{LOOK_ID}/preview.jpg",
            }
        )
    ]
)
FLAT_AVATARS = avatar_schemas.FlatAvatars(public_avatars=[], my_avatars=[_FLAT])

UPLOADED_FACE = avatar_schemas.UploadedFace(preview_url=_FLAT.preview_url, image_url=_FLAT.image_url, avatar_id=LOOK_ID)
_REPORT = avatar_schemas.FaceReport(
    verdict="fair",
    photo_width_px=256,
    photo_height_px=256,
    eye_distance_px=21.4,
    roll_deg=3.2,
    yaw_deg=-0.4,
    pitch_deg=10.5,
    remarks=[
        avatar_schemas.FaceRemark(
            code="FACE_SMALL",
            kind="found",
            severity="warning",
            message="The face is small (21 px between the eyes) and was enlarged: it looks soft",
            suggestion="Send a larger photo, or one taken from nearer: 90 px between the eyes and more look sharp",
        ),
        avatar_schemas.FaceRemark(
            code="SMILE_WITH_TEETH",
            kind="found",
            severity="info",
            message="A smile shows the teeth: the avatar has them, and its lips are closed for rest",
            suggestion=None,
        ),
    ],
)
FACE_REPORT = avatar_schemas.FaceReportAnswer(report=_REPORT)
UPLOADED_FACE_WITH_REPORT = avatar_schemas.UploadedFaceWithReport(**dict(UPLOADED_FACE), report=_REPORT)
DONE = Done()

ACCOUNT_USAGE = usage_schemas.UsageAnswer(
    usage=usage_schemas.AccountUsage(
        period=usage_schemas.UsagePeriod(start="2024-01-01T00:00:00Z", end="2024-02-01T00:00:00Z"),
        included_minutes=usage_schemas.IncludedMinutes(total=120, used=120, remaining=0),
        purchased_minutes=usage_schemas.PurchasedMinutes(total=60, remaining=55),
        total_remaining=55,
        active_sessions=[
            usage_schemas.ActiveHostedSession(
                session_id=SESSION_ID,
                avatar=_AVATAR,
                started_at=STARTED,
                expiration="2024-01-15T13:00:02Z",
                created_at=CREATED,
                minutes=3,
            ),
            usage_schemas.ActiveOwnSession(
                session_id=OWN_SESSION_ID,
                started_at="2024-01-15T12:01:00Z",
                expiration="2024-01-15T13:01:00Z",
                minutes=2,
            ),
        ],
        active_minutes=5,
        concurrency=usage_schemas.Concurrency(current=2, max=2, available=0),
        plan=usage_schemas.UsagePlan(key="starter", name="Starter", max_session_duration=60, will_renew=True),
    )
)
UNLIMITED_USAGE = usage_schemas.UsageAnswer(
    usage=usage_schemas.AccountUsage(
        period=usage_schemas.UsagePeriod(start="2024-01-01T00:00:00Z", end="2024-02-01T00:00:00Z"),
        included_minutes=usage_schemas.IncludedMinutes(total=None, used=6, remaining=None),
        purchased_minutes=usage_schemas.PurchasedMinutes(total=0, remaining=0),
        total_remaining=None,
        active_sessions=[],
        active_minutes=0,
        concurrency=usage_schemas.Concurrency(current=0, max=None, available=None),
        plan=usage_schemas.UsagePlan(key="unlimited", name="Unlimited", max_session_duration=None, will_renew=True),
    )
)
_SUMS = {"sessions": 1, "minutes": 6, "seconds": 330, "seen_seconds": 322}
USAGE_DAYS = usage_schemas.UsageDaysAnswer(
    usage=usage_schemas.UsageDays(
        period=usage_schemas.UsagePeriod(start="2023-12-31T23:00:00Z", end="2024-01-31T23:00:00Z"),
        time_zone="Europe/Berlin",
        days=[usage_schemas.UsageDay(date="2024-01-15", **_SUMS)],
        total=usage_schemas.UsageSums(**_SUMS),
    )
)
USAGE_SESSIONS = usage_schemas.UsageSessionsAnswer(
    sessions=[usage_schemas.SessionUsage(session_id=SESSION_ID, minutes=6, seconds=330, seen_seconds=322)],
    next_cursor=None,
)
CAPACITY = server_schemas.CapacityAnswer(
    capacity=server_schemas.ServerCapacity(
        sessions=2,
        places=[
            server_schemas.FreePlaces(width=512, height=512, free=7),
            server_schemas.FreePlaces(width=1280, height=720, free=4),
        ],
        load=0.31,
        frame_rate=25.0,
        wait=0,
    )
)
NO_PLACES = server_schemas.CapacityAnswer(
    capacity=server_schemas.ServerCapacity(
        sessions=9,
        places=[
            server_schemas.FreePlaces(width=512, height=512, free=0),
            server_schemas.FreePlaces(width=1280, height=720, free=0),
        ],
        load=0.84,
        frame_rate=25.0,
        wait=5,
    )
)

ROOM_PICTURE = room_schemas.RoomPicture(video_width=1280, video_height=720, transparent=True)
OFFER = (
    "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\n…"
)
FRAGMENT = (
    "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    "a=candidate:1387637174 1 udp 1686052607 192.0.2.1 61764 typ srflx raddr 0.0.0.0 rport 0\r\n"
)
SDP_ANSWER = (
    "v=0\r\no=- 4612 2 IN IP4 192.0.2.10\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n…"
)
ALIVE = server_schemas.Alive(event_loop_delay_ms=3)
READY = server_schemas.Ready(status="ready", default_avatar=True, stage=True, database=True, disk=True, problems=[])
STARTING = server_schemas.Ready(
    status="starting",
    default_avatar=False,
    stage=True,
    database=True,
    disk=True,
    problems=["The default avatar has not been performed yet"],
)
UNREADY = server_schemas.Ready(
    status="unready",
    default_avatar=True,
    stage=True,
    database=False,
    disk=True,
    problems=["The database: database is locked"],
)
SESSION_METRICS = metrics_schemas.SessionMetricsAnswer(
    metrics=metrics_schemas.SessionMetrics(
        session_id=SESSION_ID,
        status=Status.STARTED,
        performed_s=62.0,
        frames=metrics_schemas.FrameMetrics(rate=25.0, wanted_rate=25, drawn=1550, hurried=3, late=0),
        sound=metrics_schemas.SoundMetrics(blocks=3100, underruns=0, drift_ms=0.4),
        speech=metrics_schemas.SpeechMetrics(queued_s=1.25, utterances=1, interrupted=0),
        latency_ms=metrics_schemas.LatencyMetrics(
            motion=metrics_schemas.MetricPercentiles(p50=16.2, p95=16.2, p99=16.2),
            frame=metrics_schemas.MetricPercentiles(p50=58.3, p95=58.3, p99=58.3),
            packet=metrics_schemas.MetricPercentiles(p50=58.9, p95=58.9, p99=58.9),
        ),
        interrupts=metrics_schemas.InterruptMetrics(
            count=1,
            confirmed_ms=metrics_schemas.MetricPercentiles(p50=15.1, p95=15.1, p99=15.1),
            silent_ms=metrics_schemas.MetricPercentiles(p50=13.9, p95=13.9, p99=13.9),
        ),
        viewers=metrics_schemas.ViewerMetrics(
            watching=1,
            round_trip_ms=21.5,
            lost_share=0.0,
            bit_rate_share=1.0,
            struggling=0,
            packets_sent=9300,
            bytes_sent=5120000,
            dropped_pictures=0,
            dropped_blocks=0,
        ),
        utterances=[
            metrics_schemas.UtteranceMetrics(
                utterance_id="u1",
                received_s=41.26,
                started_s=41.28,
                turn_ms=0.0,
                motion_ms=16.2,
                frame_ms=58.3,
                packet_ms=58.9,
                finished_ms=4120.7,
                played_s=4.1,
                interrupted=False,
            )
        ],
    )
)
