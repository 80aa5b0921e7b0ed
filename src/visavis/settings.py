"""All settings of a server, read from `VISAVIS_…` environment variables. The command line reads them once and passes
them down.

Values that a deployment must not lose are not settings: the server's secret is in the data folder.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from visavis.errors import DataFolderUnusable, SettingInvalid
from visavis.machine import file_modes
from visavis.machine.folder_access import advice, reason
from visavis.machine.network import (
    CONTAINER_INTERFACES,
    DEFAULT_PORTS,
    MediaNetwork,
    PortRange,
    check_address,
    check_pattern,
)
from visavis.setting_files import FileSource

StageAddress = Annotated[str, Field(pattern=r"^wss://[^\s/]+:\d{1,5}$")]  # wss://HOST:PORT


# The path has characters alone that no proxy and no browser writes in another way.
_PUBLIC_URL = re.compile(r"https?://[^\s/?#@]+(/(?P<first>(?!\.)[A-Za-z0-9._~-]+)(/(?!\.)[A-Za-z0-9._~-]+)*)?")
# The first part of the paths of this server.
OWN_PATHS = frozenset(
    {
        "assets",
        "asyncapi.json",
        "console",
        "docs",
        "healthz",
        "internal",
        "llms.txt",
        "media",
        "metrics",
        "openapi.json",
        "readyz",
        "rooms",
        "samples",
        "sign-in",
        "v1",
    }
)


def _is_network(text: str) -> str:
    ip_network(text, strict=False)
    return text


ProxyAddress = Annotated[str, AfterValidator(_is_network)]


class IceServer(BaseModel):
    """A STUN or TURN server for the connections of viewers. A TURN server has a fixed user name and credential, or a
    shared `secret` (turn.py).
    """

    model_config = ConfigDict(frozen=True)

    url: str = Field(pattern=r"^(stun|stuns|turn|turns):[^\s<>\"]+$")
    username: str | None = None
    credential: SecretStr | None = None
    secret: SecretStr | None = None


def _is_port_range(text: str) -> str:
    PortRange.parse(text)
    return text


Interface = Annotated[str, AfterValidator(check_pattern)]


class _FromEnvironment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="VISAVIS_", env_ignore_empty=True, frozen=True, extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Pydantic's hook: the environment, then files."""
        return init_settings, env_settings, FileSource(settings_cls)


class VoiceSettings(_FromEnvironment):
    """The synthesiser that speaks text: of `visavis serve`, and of `visavis render --text`."""

    voice_url: str | None = Field(
        default=None,
        pattern=r"^(https?://[^\s]+|local)$",
        description="A speech endpoint that takes what OpenAI's takes: https://api.openai.com/v1; or `local`, the "
        "voice of the extra visavis[voice]. Default: no text.",
    )
    voice_key: SecretStr | None = Field(default=None, description="Its key, sent as a bearer token.")
    voice_model: str = "tts-1"
    voice_name: str = Field(default="alloy", description="The voice of text that asks for none.")
    voice_names: dict[str, str] = Field(
        default={}, description='The voices of other languages, by their tag: {"de": "nova"}.'
    )
    voice_format: Literal["wav", "pcm"] = Field(
        default="wav", description="What the endpoint is asked for. WAV names its rate."
    )
    voice_sample_rate_hz: int | None = Field(
        default=None, ge=8_000, le=48_000, description="The rate of PCM whose answer names none."
    )
    voice_at_once: int = Field(default=4, ge=1, description="The most sentences that are synthesised at once.")
    voice_stall_s: float = Field(
        default=4.5, gt=0, le=60, description="How long it may take until sound comes, or more of it."
    )
    voice_pronunciations: dict[str, str] = Field(
        default={}, description='What to say instead of a word: {"SQL": "sequel"}.'
    )


class NetworkSettings(_FromEnvironment):
    """The network of the stages on this machine: of those of `visavis serve`, and of `visavis stage`."""

    media_ports: Annotated[str, AfterValidator(_is_port_range)] = Field(
        default=DEFAULT_PORTS, description="The UDP ports of media; each stage process takes the first free one."
    )
    viewer_addresses: tuple[Annotated[str, AfterValidator(check_address)], ...] = Field(
        default=(), description="Addresses and names at which viewers reach this machine, beside its own."
    )
    media_interfaces: tuple[Interface, ...] = Field(
        default=(), description="Interfaces and subnets that media may use. Default: all."
    )
    media_interfaces_excluded: tuple[Interface, ...] = Field(
        default=CONTAINER_INTERFACES, description="Interfaces and subnets that media may not use."
    )

    @property
    def media_network(self) -> MediaNetwork:
        return MediaNetwork(
            ports=PortRange.parse(self.media_ports),
            addresses=self.viewer_addresses,
            include=self.media_interfaces,
            exclude=self.media_interfaces_excluded,
        )


class Settings(NetworkSettings, VoiceSettings):
    """Times are in seconds. The defaults are those of docs/reference/rest.md."""

    data_dir: Path = Path("data")
    data_mode: file_modes.DataMode = Field(
        default="private",
        description="Who may use the data folder: `private`, the user that runs the server alone; `group`, all of its "
        "group.",
    )
    public_url: str | None = Field(
        default=None,
        description="The address where clients reach this server; its path is the one below which a proxy serves "
        "it. Default: the address of each request.",
    )
    tls_cert: Path | None = Field(
        default=None,
        description="The certificate, PEM, with which the server speaks HTTPS itself. Default: plain HTTP.",
    )
    tls_key: Path | None = Field(default=None, description="The certificate's private key, PEM.")
    database_url: SecretStr | None = Field(
        default=None,
        description="The database: postgresql://USER:PASSWORD@HOST/DATABASE. Default: SQLite in the data folder.",
    )
    database_connections: int = Field(default=10, ge=2, description="The most connections to a PostgreSQL.")
    database_wait_s: float = Field(
        default=30, ge=0, description="How long a start waits for a PostgreSQL that cannot be reached yet."
    )
    s3_url: str | None = Field(
        default=None,
        pattern=r"^s3://[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/?$",
        description="Where avatars and pictures lie in S3: s3://BUCKET/PREFIX. Default: in the data folder alone.",
    )
    s3_endpoint: str | None = Field(
        default=None, pattern=r"^https?://[^\s/]+/?$", description="A server that speaks S3. Default: AWS."
    )
    s3_region: str = "us-east-1"
    s3_access_key_id: SecretStr | None = Field(
        default=None, description="Default: what the environment or the machine's role gives."
    )
    s3_secret_access_key: SecretStr | None = None
    secret: SecretStr | None = Field(
        default=None,
        description="Signs room tokens and addresses of private pictures. Default: made at the first start and kept in "
        "the data folder.",
    )

    rate_limit_per_minute: int = Field(default=60, ge=1)
    redis_url: SecretStr | None = Field(
        default=None,
        description="Where servers that share a database count requests: redis://HOST:6379/0. Default: each grants its "
        "share.",
    )
    sign_in_s: float = Field(default=43_200, ge=60, description="How long a browser stays signed in.")
    join_timeout_s: float = Field(default=120, gt=0)
    room_empty_grace_s: float = Field(default=15, ge=0)
    channel_grace_s: float = Field(default=10, ge=0)
    sweep_interval_s: float = Field(default=10, gt=0)
    created_session_ttl_s: float = Field(
        default=86_400, gt=0, description="A session that was never started ends after this time."
    )
    start_wait_s: float = Field(
        default=5, gt=0, description="How long a start waits for a performer before it answers try_again."
    )

    start_timeout_s: float = Field(
        default=30, gt=0, description="How long a start may answer try_again; then it is refused with NO_CAPACITY."
    )
    drain_s: float = Field(
        default=5, ge=0, description="How long a server that stops lets speech finish before it ends the sessions."
    )
    first_answer_wait_s: float = Field(
        default=10,
        ge=0,
        description="How long a POST waits for an earlier one with the same Idempotency-Key that is not answered yet.",
    )

    stages: int | None = Field(default=None, ge=1, description="The most stage processes. Default: one for each core.")
    admission: Literal["measured", "counted"] = Field(
        default="measured", description="Whether sessions are admitted by what fits, or only by the numbers below."
    )
    cores: float | None = Field(
        default=None,
        gt=0,
        description="The cores that stages may use on their machine. Default: what affinity and control groups give.",
    )
    admission_share: float = Field(
        default=0.85, gt=0, le=1, description="The share of the cores that sessions may fill when all of them speak."
    )
    max_sessions: int | None = Field(default=None, ge=1, description="The most sessions at once. Default: no number.")
    sessions_per_stage: int | None = Field(
        default=None, ge=1, description="The most sessions of one stage process. Default: no number."
    )
    stage_silence_s: float = Field(
        default=5,
        ge=1,
        description="A stage process that does not answer for this time is killed and replaced; twice the time for one "
        "on another machine.",
    )
    stage_grace_s: float = Field(
        default=15,
        ge=0,
        description="How long stage processes go on with their sessions when this server has died.",
    )
    spare_stage: bool = Field(
        default=True,
        description="Keep one more stage process ready, so that a lost one is replaced at once.",
    )
    fleet: bool = Field(
        default=False,
        description="Perform no sessions on this machine, but on those whose `visavis stage` stands in the PostgreSQL.",
    )
    stage_addresses: tuple[StageAddress, ...] = Field(
        default=(), description="Stages on other machines. Default: stage processes on this machine."
    )
    stage_token: SecretStr | None = Field(default=None, description="The token of the stages on other machines.")
    stage_ca_file: Path | None = Field(
        default=None, description="The authority that has signed the stages' certificates."
    )
    stage_source_url: str | None = Field(
        default=None, description="The address where stages on other machines reach this server."
    )
    server_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        max_length=300,
        description="The address where the other servers of a fleet reach this one. Default: VISAVIS_STAGE_SOURCE_URL.",
    )
    server_ca_file: Path | None = Field(
        default=None,
        description="The authority, PEM, that has signed the certificates of the servers, for other servers and for "
        "stages on other machines. Default: the authorities that those machines believe.",
    )
    max_avatars_per_account: int = Field(default=500, ge=1, description="Looks; each takes about 1 MB and its photo.")
    max_created_sessions_per_account: int = Field(default=1000, ge=1, description="Sessions that wait to be started.")
    max_backgrounds_per_account: int = Field(
        default=100, ge=0, description="Sessions that wait to be started and have a background image."
    )
    preparations: int = Field(
        default=2, ge=1, description="How many photos are prepared at once; at most one fewer of one account."
    )
    preparations_waiting: int = Field(
        default=8, ge=0, description="How many photos may wait to be prepared; more are refused with 503."
    )
    image_url_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        default=(80, 443), description="The ports that the address of an image may have."
    )

    max_webhooks_per_account: int = Field(default=20, ge=0, description="Addresses to which events are sent.")
    webhook_networks: tuple[ProxyAddress, ...] = Field(
        default=(),
        description="Private addresses or networks to which events may be sent. Default: to public addresses alone.",
    )
    webhook_timeout_s: float = Field(default=15, gt=0, le=60, description="How long a receiver may take to answer.")
    webhook_disable_after_h: float = Field(
        default=72, gt=0, description="A webhook that has only failed for this time is disabled."
    )
    webhook_log_days: float = Field(default=30, ge=1, description="How long events and their deliveries are kept.")
    sessions_kept_days: float | None = Field(
        default=None, gt=0, description="How long sessions are kept after their end. Default: for ever."
    )
    usage_kept_days: float | None = Field(
        default=None, ge=62, description="How long the usage ledger is kept. Default: for ever."
    )
    photos_kept_days: float | None = Field(
        default=None, gt=0, description="How long photos are kept of which avatars were made. Default: with the avatar."
    )

    max_connections: int = Field(
        default=4096, ge=32, description="The most connections at once; fewer if the system has fewer file descriptors."
    )
    max_connections_per_address: int = Field(
        default=512, ge=8, description="The most connections of one address that have not sent a valid key or token."
    )
    max_unattached_channels: int = Field(default=64, ge=4, description="The most WebSockets without a session.")
    keep_alive_s: int = Field(default=80, ge=1, description="How long an idle connection stays open.")

    cors_origins: tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^\s/]+)$")], ...] = Field(
        default=(), description='The origins of pages that may read answers under /v1; "*" for all. Default: none.'
    )
    ice_servers: tuple[IceServer, ...] = ()
    livekit_url: str | None = Field(
        default=None,
        pattern=r"^wss?://[^\s/@?#]+(/[^\s?#]*)?$",
        description="A LiveKit server for rooms of this service's own, as clients reach it. Default: no such rooms.",
    )
    livekit_api_key: str | None = None
    livekit_api_secret: SecretStr | None = None
    livekit_networks: tuple[ProxyAddress, ...] | None = Field(
        default=None,
        description="Private addresses or networks of the LiveKit servers that callers name. Default: any, of a caller "
        "on this machine whose server is for this machine alone; otherwise public addresses alone.",
    )
    room_provider: Literal["embedded", "daily"] = Field(
        default="embedded", description="What carries the rooms of hosted sessions: this server, or Daily."
    )
    daily_api_key: SecretStr | None = None
    daily_api_url: str = Field(default="https://api.daily.co/v1", pattern=r"^https?://[^\s?#]+$")
    trusted_proxies: tuple[ProxyAddress, ...] = Field(
        default=(), description="Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are trusted."
    )
    min_free_disk_mb: int = Field(
        default=64, ge=0, description="With less free space in the data folder, /readyz answers 503."
    )
    traces_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="Where a collector of OpenTelemetry takes traces (OTLP over HTTP). Default: no traces.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Opens /metrics to whoever sends it. Default: only this machine may read it.",
    )
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    log_json: bool = False

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("public_url")
    @classmethod
    def _without_trailing_slash(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        address = value.strip().rstrip("/")
        found = _PUBLIC_URL.fullmatch(address)
        if found is None:
            raise ValueError("must be http(s)://HOST, HOST:PORT or HOST/PATH, without a query")
        if found["first"] in OWN_PATHS:
            raise ValueError(f"its path cannot begin with /{found['first']}: the server has addresses of its own there")
        return address

    @model_validator(mode="after")
    def _check_stages(self) -> Settings:
        if self.stage_addresses and (self.stage_token is None or not (self.stage_source_url or self.public_url)):
            raise ValueError("VISAVIS_STAGE_ADDRESSES needs VISAVIS_STAGE_TOKEN and VISAVIS_STAGE_SOURCE_URL")
        if self.fleet and self.stage_addresses:
            raise ValueError(
                "VISAVIS_FLEET (--stages none) finds stages in the database, not in VISAVIS_STAGE_ADDRESSES"
            )
        if self.fleet and not self.resolved_database_url.startswith("postgres"):
            raise ValueError("VISAVIS_FLEET (--stages none) needs a PostgreSQL in VISAVIS_DATABASE_URL")
        if self.fleet and not self.stage_source_url:  # not VISAVIS_PUBLIC_URL: that may be a balancer's
            raise ValueError("VISAVIS_FLEET (--stages none) needs VISAVIS_STAGE_SOURCE_URL")
        return self

    @field_validator("tls_cert", "tls_key", "server_ca_file")
    @classmethod
    def _is_path(cls, value: Path | None) -> Path | None:
        if value is not None and "-----BEGIN" in str(value):
            raise ValueError("must be the path of a file, not what is in it")
        return value

    @model_validator(mode="after")
    def _check_tls(self) -> Settings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("VISAVIS_TLS_CERT and VISAVIS_TLS_KEY (--tls-cert and --tls-key) need each other")
        return self

    @model_validator(mode="after")
    def _check_livekit(self) -> Settings:
        given = (self.livekit_url, self.livekit_api_key, self.livekit_api_secret)
        if any(given) and not all(given):
            raise ValueError(
                "VISAVIS_LIVEKIT_URL, VISAVIS_LIVEKIT_API_KEY and VISAVIS_LIVEKIT_API_SECRET need each other"
            )
        return self

    @model_validator(mode="after")
    def _check_daily(self) -> Settings:
        if self.room_provider == "daily" and self.daily_api_key is None:
            raise ValueError("VISAVIS_ROOM_PROVIDER=daily needs VISAVIS_DAILY_API_KEY")
        return self

    @property
    def resolved_database_url(self) -> str:
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{(self.data_dir / 'visavis.db').absolute()}"

    @property
    def path_prefix(self) -> str:
        """The path of `public_url`, such as `/avatar`; empty without one."""
        return urlsplit(self.public_url or "").path

    @property
    def avatars_dir(self) -> Path:
        return self.data_dir.absolute() / "avatars"


def read_settings(**given: object) -> Settings:
    """Read the settings from this process's environment. `given`: what an option of the command has set instead; None
    sets nothing. Raises `SettingInvalid` with the name of an invalid one.
    """
    return _read(Settings, **given)


def read_voice_settings() -> VoiceSettings:
    """Read the settings of the synthesiser, like `read_settings`."""
    return _read(VoiceSettings)


def read_network_settings() -> NetworkSettings:
    """Read the settings of a stage's network, like `read_settings`."""
    return _read(NetworkSettings)


_Settings = TypeVar("_Settings", bound=BaseSettings)


def _read(kind: type[_Settings], **given: Any) -> _Settings:
    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # of settings that need each other, which the message names
            raise SettingInvalid(first["msg"].removeprefix("Value error, ")) from error
        name = "VISAVIS_" + ".".join(str(part) for part in first["loc"]).upper()
        raise SettingInvalid(f"{name}: {first['msg']}") from error
    except SettingsError as error:  # its message names the field
        named = re.search(r'"(\w+)"', str(error))
        raise SettingInvalid(f"VISAVIS_{named[1].upper() if named else '…'}: not JSON") from error


def load_secret(settings: Settings) -> bytes:
    """Return the server's secret, at least 32 bytes. If there is none yet, make one and save it, as readable
    as all of the data folder.

    Raises `SettingInvalid` for a secret that is too short, and `DataFolderUnusable` for a data folder that cannot be
    written.
    """
    if settings.secret is not None:
        value = settings.secret.get_secret_value().encode()
        if len(value) < 32:
            raise SettingInvalid("VISAVIS_SECRET must be at least 32 bytes long")
        return value
    path = settings.data_dir / "secret"
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=file_modes.folder_mode())
        if not path.exists():
            partial = path.with_suffix(f".{os.getpid()}")
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file_modes.file_mode())
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_hex(32).encode())
            with suppress(FileExistsError):
                os.link(partial, path)  # if two servers start at once for the first time, both use the same secret
            partial.unlink()
        return path.read_bytes()
    except OSError as error:
        raise DataFolderUnusable(
            f"The data folder {settings.data_dir} cannot be used: {reason(settings.data_dir, error)}",
            suggestion=advice(error),
        ) from error
