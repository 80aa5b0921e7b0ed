"""Every error that a user of Visavis can meet, in one tree. This drawing is held to the classes by a test.

    VisavisError
    ├── InvalidRequest                  400  INVALID_REQUEST
    │   ├── AvatarIdRequired            400  AVATAR_ID_REQUIRED
    │   ├── AvatarRequired              400  AVATAR_REQUIRED
    │   ├── AvatarNotALook              400  AVATAR_NOT_A_LOOK
    │   ├── InvalidMetadata             400  INVALID_METADATA
    │   ├── InvalidAspectRatio          400  INVALID_ASPECT_RATIO
    │   ├── InvalidCursor               400  INVALID_CURSOR
    │   ├── InvalidJson                 400  INVALID_JSON
    │   ├── InvalidRoomPlatform         400  INVALID_ROOM_PLATFORM
    │   ├── RoomPlatformUnavailable     400  ROOM_PLATFORM_UNAVAILABLE
    │   ├── RoomRefused                 400  ROOM_REFUSED
    │   │   ├── RoomEncrypted           400  ROOM_ENCRYPTED
    │   │   └── RoomUrlRefused          400  ROOM_URL_REFUSED
    │   ├── OfferRefused                400  OFFER_REFUSED
    │   ├── CandidatesRefused           400  CANDIDATES_REFUSED
    │   ├── InvalidOutput               400  INVALID_OUTPUT
    │   ├── BackgroundRefused           400  INVALID_BACKGROUND
    │   ├── FramingRefused              400  INVALID_FRAMING
    │   ├── InvalidEmotion              400  INVALID_EMOTION
    │   ├── WebhookUrlRefused           400  INVALID_WEBHOOK_URL
    │   ├── ImageRequired               400  IMAGE_REQUIRED
    │   ├── PortraitRefused             400  IMAGE_UNREADABLE
    │   │   ├── NoFace                  400  NO_FACE
    │   │   ├── SeveralFaces            400  SEVERAL_FACES
    │   │   ├── FaceTooSmall            400  FACE_TOO_SMALL
    │   │   ├── FaceTurnedAway          400  FACE_TURNED_AWAY
    │   │   ├── ImageUrlRefused         400  IMAGE_URL_REFUSED
    │   │   ├── InvalidPoints           400  INVALID_POINTS
    │   │   ├── ImageTooLarge           413  IMAGE_TOO_LARGE
    │   │   └── ImageTypeRefused        415  IMAGE_TYPE
    │   ├── AudioUnreadable                  AUDIO_UNREADABLE
    │   └── InvalidMessage                   INVALID_MESSAGE
    │       ├── InitRequired                 INIT_REQUIRED               close 4400
    │       ├── InitTimeout                  INIT_TIMEOUT                close 4408
    │       ├── InvalidInit                  INVALID_INIT
    │       ├── InvalidVideoDimensions       INVALID_VIDEO_DIMENSIONS
    │       ├── InvalidRoomUrl               INVALID_ROOM_URL
    │       ├── UnknownFeature               UNKNOWN_FEATURE
    │       ├── SessionMismatch              SESSION_MISMATCH            close 4404
    │       ├── AlreadyInitialized           ALREADY_INITIALIZED
    │       ├── InvalidUtf8                  INVALID_UTF8                close 1007
    │       ├── UnknownType                  UNKNOWN_TYPE
    │       ├── FeatureNotEnabled            FEATURE_NOT_ENABLED
    │       ├── InvalidAudio                 INVALID_AUDIO
    │       ├── OddAudioLength               ODD_AUDIO_LENGTH
    │       ├── InvalidSampleRate            INVALID_SAMPLE_RATE
    │       ├── MessageTooLarge              MESSAGE_TOO_LARGE           close 1009
    │       ├── InvalidPhonemes              INVALID_PHONEMES
    │       ├── InvalidText                  INVALID_TEXT
    │       ├── InvalidState                 INVALID_STATE
    │       └── UpdatePending                UPDATE_PENDING
    ├── Unauthorized                    401  UNAUTHORIZED                close 4401
    │   ├── ApiKeyRefused               401  (UNAUTHORIZED)
    │   ├── SignInRefused               401  SIGN_IN_REFUSED
    │   ├── TokenExpired                401  TOKEN_EXPIRED               close 4401
    │   └── OriginRefused               403  ORIGIN_REFUSED              close 4401
    ├── InsufficientMinutes             402  INSUFFICIENT_MINUTES
    ├── AccessDenied                    403  ACCESS_DENIED
    ├── InsufficientScope               403  INSUFFICIENT_SCOPE
    ├── SourceRefused                   403  SOURCE_ADDRESS_REFUSED
    ├── RequestForged                   403  REQUEST_FORGED
    ├── PictureAddressExpired           403  PICTURE_ADDRESS_EXPIRED
    ├── NotFound                        404  NOT_FOUND
    │   ├── SessionNotFound             404  SESSION_NOT_FOUND           close 4404
    │   ├── AvatarNotFound              404  AVATAR_NOT_FOUND
    │   ├── ReportNotFound              404  REPORT_NOT_FOUND
    │   ├── RoomNotFound                404  ROOM_NOT_FOUND
    │   ├── ViewerNotFound              404  VIEWER_NOT_FOUND
    │   ├── TokenNotFound               404  TOKEN_NOT_FOUND
    │   ├── WebhookNotFound             404  WEBHOOK_NOT_FOUND
    │   ├── DeliveryNotFound            404  DELIVERY_NOT_FOUND
    │   ├── AccountNotFound             404  ACCOUNT_NOT_FOUND
    │   ├── KeyNotFound                 404  KEY_NOT_FOUND
    │   └── PlanNotFound                404  PLAN_NOT_FOUND
    ├── MethodNotAllowed                405  METHOD_NOT_ALLOWED
    ├── Conflict                        409
    │   ├── SessionNotStarted           409  SESSION_NOT_STARTED
    │   ├── SessionEnded                409  SESSION_ENDED               close 4410
    │   │   └── Gone                    410  (SESSION_ENDED)
    │   ├── Overtaken                        CHANNEL_OVERTAKEN           close 4409
    │   ├── SessionNotEnded             409  SESSION_NOT_ENDED
    │   ├── IdempotencyConflict         409  IDEMPOTENCY_KEY_REUSED
    │   ├── IdempotencyInProgress       409  IDEMPOTENCY_IN_PROGRESS
    │   ├── WebhookExists               409  WEBHOOK_EXISTS
    │   ├── WebhookDisabled             409  WEBHOOK_DISABLED
    │   └── KeyNotActive                409  KEY_NOT_ACTIVE
    ├── PreconditionFailed              412  PRECONDITION_FAILED
    ├── PreconditionRequired            428  PRECONDITION_REQUIRED
    ├── UpgradeRequired                 426  UPGRADE_REQUIRED
    ├── TooLarge                        413  PAYLOAD_TOO_LARGE
    ├── UnsupportedMediaType            415  UNSUPPORTED_MEDIA_TYPE
    ├── RateLimited                     429  RATE_LIMITED
    ├── ConcurrencyLimitReached         429  CONCURRENCY_LIMIT_REACHED
    ├── QuotaReached                    429
    │   ├── AvatarLimitReached          429  AVATAR_LIMIT_REACHED
    │   ├── SessionLimitReached         429  SESSION_LIMIT_REACHED
    │   ├── BackgroundLimitReached      429  BACKGROUND_LIMIT_REACHED
    │   └── WebhookLimitReached         429  WEBHOOK_LIMIT_REACHED
    ├── TooManyOffers                   429  TOO_MANY_OFFERS
    ├── QueueFull                            QUEUE_FULL
    ├── VoiceFailed                          VOICE_FAILED
    │   ├── VoiceTimedOut                    VOICE_TIMED_OUT
    │   └── VoiceBusy                        VOICE_BUSY
    ├── NoCapacity                      503  NO_CAPACITY
    │   └── RoomFull                    503  ROOM_FULL
    ├── RoomUnreachable                 503  ROOM_UNREACHABLE
    ├── ServerStopping                  503  SERVER_STOPPING
    ├── HandOverBegun                        SERVER_CHANGES              close 1012
    ├── PerformerLost                   503  PERFORMER_LOST
    ├── InternalError                   500  INTERNAL                    close 1011
    ├── IceRestartUnavailable           409  ICE_RESTART_UNAVAILABLE
    ├── PackUnreadable                  500  PACK_UNREADABLE
    ├── PreparationFailed               500  PREPARATION_FAILED
    ├── StorageUnusable                 503  STORAGE_UNUSABLE
    ├── LinkFailed
    │   ├── StageUnreachable                 STAGE_UNREACHABLE
    │   ├── StageRejected                    STAGE_REJECTED
    │   ├── NotAHello                        NOT_A_HELLO
    │   ├── WrongStageToken                  WRONG_STAGE_TOKEN
    │   ├── StageNotAdmitted                 STAGE_NOT_ADMITTED
    │   ├── PortVersionUnknown               PORT_VERSION_UNKNOWN
    │   ├── ServerReplaced                   SERVER_REPLACED
    │   ├── SourceUnusable                   SOURCE_UNUSABLE
    │   ├── LinkBroken                       LINK_BROKEN
    │   └── StaleOwner                       STALE_OWNER
    └── CommandFailed
        ├── SettingInvalid                   SETTING_INVALID
        ├── DataFolderUnusable               DATA_FOLDER_UNUSABLE
        ├── DataFolderInUse                  DATA_FOLDER_IN_USE
        ├── InstallationDamaged              INSTALLATION_DAMAGED
        ├── HandoverImpossible               HANDOVER_IMPOSSIBLE
        ├── DatabaseUnusable                 DATABASE_UNUSABLE
        ├── FileUnusable                     FILE_UNUSABLE
        ├── AddressUnavailable               ADDRESS_UNAVAILABLE
        ├── ServerNotStarted                 SERVER_NOT_STARTED
        ├── ListeningFailed                  LISTENING_FAILED
        ├── DemoFailed                       DEMO_FAILED
        ├── ContractBroken                   CONTRACT_BROKEN
        ├── ServerBroken                     SERVER_BROKEN
        └── ServerFailed                     SERVER_FAILED

A class that names a `code` declares it: its HTTP status, the close code of the channel (without one the channel stays
open), whether the same call can succeed later, and where it is told. A subclass without a code is a variant of its
parent. docs/reference/errors.md describes every code for clients.
"""

from __future__ import annotations

# The order of these imports is the order of the tree.
# isort: off
from visavis.errors.root import (
    DISK_ERRORS as DISK_ERRORS,
    CloseCode as CloseCode,
    ToldOver as ToldOver,
    VisavisError as VisavisError,
    declared_errors as declared_errors,
    HTTP as HTTP,
    CHANNEL as CHANNEL,
    COMMAND as COMMAND,
    LOG as LOG,
)
from visavis.errors.requests import (
    InvalidRequest as InvalidRequest,
    AvatarIdRequired as AvatarIdRequired,
    AvatarRequired as AvatarRequired,
    AvatarNotALook as AvatarNotALook,
    InvalidMetadata as InvalidMetadata,
    InvalidAspectRatio as InvalidAspectRatio,
    InvalidCursor as InvalidCursor,
    InvalidJson as InvalidJson,
    InvalidRoomPlatform as InvalidRoomPlatform,
    RoomPlatformUnavailable as RoomPlatformUnavailable,
    RoomEncrypted as RoomEncrypted,
    RoomRefused as RoomRefused,
    RoomUrlRefused as RoomUrlRefused,
    OfferRefused as OfferRefused,
    CandidatesRefused as CandidatesRefused,
    InvalidOutput as InvalidOutput,
    BackgroundRefused as BackgroundRefused,
    FramingRefused as FramingRefused,
    InvalidEmotion as InvalidEmotion,
    WebhookUrlRefused as WebhookUrlRefused,
)
from visavis.errors.media import (
    ImageRequired as ImageRequired,
    PortraitRefused as PortraitRefused,
    NoFace as NoFace,
    SeveralFaces as SeveralFaces,
    FaceTooSmall as FaceTooSmall,
    FaceTurnedAway as FaceTurnedAway,
    ImageUrlRefused as ImageUrlRefused,
    InvalidPoints as InvalidPoints,
    ImageTooLarge as ImageTooLarge,
    ImageTypeRefused as ImageTypeRefused,
    AudioUnreadable as AudioUnreadable,
)
from visavis.errors.channel import (
    InvalidMessage as InvalidMessage,
    InitRequired as InitRequired,
    InitTimeout as InitTimeout,
    InvalidInit as InvalidInit,
    InvalidVideoDimensions as InvalidVideoDimensions,
    InvalidRoomUrl as InvalidRoomUrl,
    UnknownFeature as UnknownFeature,
    SessionMismatch as SessionMismatch,
    AlreadyInitialized as AlreadyInitialized,
    InvalidUtf8 as InvalidUtf8,
    UnknownType as UnknownType,
    FeatureNotEnabled as FeatureNotEnabled,
    InvalidAudio as InvalidAudio,
    OddAudioLength as OddAudioLength,
    InvalidSampleRate as InvalidSampleRate,
    MessageTooLarge as MessageTooLarge,
    InvalidPhonemes as InvalidPhonemes,
    InvalidText as InvalidText,
    InvalidState as InvalidState,
    UpdatePending as UpdatePending,
)
from visavis.errors.states import (
    Unauthorized as Unauthorized,
    ApiKeyRefused as ApiKeyRefused,
    InsufficientMinutes as InsufficientMinutes,
    AccessDenied as AccessDenied,
    InsufficientScope as InsufficientScope,
    SourceRefused as SourceRefused,
    RequestForged as RequestForged,
    PictureAddressExpired as PictureAddressExpired,
    SignInRefused as SignInRefused,
    TokenExpired as TokenExpired,
    OriginRefused as OriginRefused,
    TokenNotFound as TokenNotFound,
    NotFound as NotFound,
    SessionNotFound as SessionNotFound,
    AvatarNotFound as AvatarNotFound,
    ReportNotFound as ReportNotFound,
    RoomNotFound as RoomNotFound,
    ViewerNotFound as ViewerNotFound,
    WebhookNotFound as WebhookNotFound,
    DeliveryNotFound as DeliveryNotFound,
    AccountNotFound as AccountNotFound,
    KeyNotFound as KeyNotFound,
    PlanNotFound as PlanNotFound,
    MethodNotAllowed as MethodNotAllowed,
    Conflict as Conflict,
    SessionNotStarted as SessionNotStarted,
    SessionEnded as SessionEnded,
    SessionNotEnded as SessionNotEnded,
    Gone as Gone,
    Overtaken as Overtaken,
    IdempotencyConflict as IdempotencyConflict,
    IdempotencyInProgress as IdempotencyInProgress,
    WebhookExists as WebhookExists,
    WebhookDisabled as WebhookDisabled,
    KeyNotActive as KeyNotActive,
    PreconditionFailed as PreconditionFailed,
    PreconditionRequired as PreconditionRequired,
    UpgradeRequired as UpgradeRequired,
    TooLarge as TooLarge,
    UnsupportedMediaType as UnsupportedMediaType,
)
from visavis.errors.faults import (
    RateLimited as RateLimited,
    ConcurrencyLimitReached as ConcurrencyLimitReached,
    QuotaReached as QuotaReached,
    AvatarLimitReached as AvatarLimitReached,
    SessionLimitReached as SessionLimitReached,
    BackgroundLimitReached as BackgroundLimitReached,
    WebhookLimitReached as WebhookLimitReached,
    TooManyOffers as TooManyOffers,
    QueueFull as QueueFull,
    VoiceFailed as VoiceFailed,
    VoiceTimedOut as VoiceTimedOut,
    VoiceBusy as VoiceBusy,
    NoCapacity as NoCapacity,
    RoomFull as RoomFull,
    RoomUnreachable as RoomUnreachable,
    ServerStopping as ServerStopping,
    HandOverBegun as HandOverBegun,
    PerformerLost as PerformerLost,
    InternalError as InternalError,
    IceRestartUnavailable as IceRestartUnavailable,
    PackUnreadable as PackUnreadable,
    PreparationFailed as PreparationFailed,
    StorageUnusable as StorageUnusable,
    error_of as error_of,
)
from visavis.errors.link import (
    LinkFailed as LinkFailed,
    StageUnreachable as StageUnreachable,
    StageRejected as StageRejected,
    NotAHello as NotAHello,
    WrongStageToken as WrongStageToken,
    StageNotAdmitted as StageNotAdmitted,
    PortVersionUnknown as PortVersionUnknown,
    ServerReplaced as ServerReplaced,
    SourceUnusable as SourceUnusable,
    LinkBroken as LinkBroken,
    StaleOwner as StaleOwner,
)
from visavis.errors.commands import (
    CommandFailed as CommandFailed,
    SettingInvalid as SettingInvalid,
    DataFolderUnusable as DataFolderUnusable,
    DataFolderInUse as DataFolderInUse,
    HandoverImpossible as HandoverImpossible,
    InstallationDamaged as InstallationDamaged,
    DatabaseUnusable as DatabaseUnusable,
    FileUnusable as FileUnusable,
    AddressUnavailable as AddressUnavailable,
    ServerNotStarted as ServerNotStarted,
    ListeningFailed as ListeningFailed,
    DemoFailed as DemoFailed,
    ContractBroken as ContractBroken,
    ServerBroken as ServerBroken,
    ServerFailed as ServerFailed,
)
# isort: on
