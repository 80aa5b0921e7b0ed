"""The application: everything the service is, put together and taken apart."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import anyio
import structlog
from anyio.to_thread import run_sync
from fastapi import FastAPI

from visavis import __version__
from visavis.accounts.sealing import AnswerSeal
from visavis.accounts.service import Accounts
from visavis.accounts.sign_ins import SignIns
from visavis.api import (
    avatars,
    browser_tokens,
    capacity,
    docs,
    health,
    media,
    metrics,
    pages,
    rooms,
    sessions,
    sign_in,
    stage_source,
    trailing_slash,
    usage,
    webhooks,
)
from visavis.api.admin import accounts as admin_accounts
from visavis.api.admin import avatars as admin_avatars
from visavis.api.admin import keys as admin_keys
from visavis.api.admin import server as admin_server
from visavis.api.admin import sessions as admin_sessions
from visavis.api.admin import webhooks as admin_webhooks
from visavis.api.application import Application
from visavis.api.compression import Compression
from visavis.api.cross_origin import CrossOrigin
from visavis.api.described.openapi import describe
from visavis.api.envelope import Envelope
from visavis.api.errors import add_error_handlers
from visavis.api.face import read_image
from visavis.api.gate import Gate
from visavis.api.head import HeadAsGet
from visavis.api.operator_cookie import OperatorCookies
from visavis.api.path_prefix import PathPrefix
from visavis.api.probes import LoopDelay, Probe, Probes
from visavis.api.relay import Relay, RelayedCalls
from visavis.api.request_counts import RequestCounts
from visavis.api.request_limits import RequestLimits
from visavis.api.services import Readiness, Services
from visavis.avatars.fetch import ImageFetcher
from visavis.avatars.library import install_library
from visavis.avatars.look_archive import LookArchive
from visavis.avatars.look_files import LookFiles
from visavis.avatars.picture_signatures import PictureSigner
from visavis.avatars.preparation import Preparation, Prepare, prepare_with_engine
from visavis.avatars.service import Avatars
from visavis.channel.conversation import Conversations
from visavis.channel.handshake import FEATURES
from visavis.channel.websocket import channel_router
from visavis.engine.images.image_type import MAX_IMAGE_BYTES
from visavis.fleet.identity import ServerIdentity, next_identity
from visavis.fleet.placed import Directory, Machine, PlacedFleet
from visavis.fleet.port import Adopted, Fleet
from visavis.ids import new_id
from visavis.library import PORTRAITS, LibraryPortrait
from visavis.proxy_rooms.daily import DailyKey, DailyServer
from visavis.proxy_rooms.daily_rooms import DailyRooms
from visavis.proxy_rooms.kept_rooms import KeptRooms
from visavis.proxy_rooms.livekit import LiveKitKey, LiveKitServer
from visavis.proxy_rooms.rooms import ProxyRooms
from visavis.rooms import spec
from visavis.sessions.allocation import allocate
from visavis.sessions.backgrounds import Backgrounds
from visavis.sessions.billing import Billing
from visavis.sessions.browser_tokens import BrowserTokens
from visavis.sessions.claims import Claims
from visavis.sessions.deadlines import GracePeriods
from visavis.sessions.isolated_tasks import IsolatedTasks, Vitals
from visavis.sessions.live_sessions import LiveSessions
from visavis.sessions.meter import Meter
from visavis.sessions.observer import Observer
from visavis.sessions.owner_watch import OwnerWatch
from visavis.sessions.plan_limits import PlanLimits
from visavis.sessions.retention import KeptDays, Retention
from visavis.sessions.revocation import Revocation
from visavis.sessions.server_lease import ServerLease
from visavis.sessions.service import Sessions
from visavis.sessions.stage_directory import StageDirectory
from visavis.sessions.sweep import adopt_or_end, sweep_sessions
from visavis.settings import IceServer, Settings, load_secret
from visavis.stage.port.values import PerformanceSpec
from visavis.store.avatars import AvatarStore
from visavis.store.blobs import FolderBlobs
from visavis.store.browser_tokens import BrowserTokenStore
from visavis.store.cached_blobs import CachedBlobs
from visavis.store.database import Database
from visavis.store.disk import disk_problem
from visavis.store.idempotency import IdempotencyStore
from visavis.store.last_seen import LastSeen
from visavis.store.minutes import MinuteStore
from visavis.store.object_store import open_object_store
from visavis.store.places import PlaceStore
from visavis.store.records import AvatarRecord
from visavis.store.retention import RetentionStore
from visavis.store.session_owners import SessionOwners
from visavis.store.sessions import SessionStore
from visavis.store.stages import StageStore
from visavis.store.usage import UsageStore
from visavis.store.usage_reports import UsageReports
from visavis.telemetry.traces import open_traces
from visavis.timestamps import now_ms
from visavis.turn import for_session
from visavis.voice.voices import open_voices
from visavis.webhooks.sending import open_webhooks

log = structlog.get_logger()

CLAIM_MARGIN_S = 60  # after a start's time-out: until then a server that died holds the place

# The first part of each path is in settings.OWN_PATHS. The channel's router is added at the start.
ROUTERS = (
    sessions.router,
    browser_tokens.router,
    avatars.router,
    media.router,
    rooms.router,
    stage_source.router,
    metrics.router,
    usage.router,
    sign_in.router,
    webhooks.router,
    capacity.router,
    admin_sessions.router,
    admin_accounts.router,
    admin_keys.router,
    admin_webhooks.router,
    admin_avatars.router,
    admin_server.router,
    health.router,
    docs.router,
    trailing_slash.router,
    pages.router,
)


def create_app(
    settings: Settings,
    fleet: Fleet | None = None,
    prepare: Prepare = prepare_with_engine,
    portraits: Sequence[LibraryPortrait] = PORTRAITS,
    *,
    listens_to_loopback: bool = False,
) -> FastAPI:
    """Return the application. Its lifespan opens the database, the fleet (a local one unless given) and the library,
    and closes what it opened. `listens_to_loopback`: whether other machines cannot connect.

    `app.state.services` holds the services while it runs.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.services = await _open(
                settings, fleet, prepare, portraits, stack, listens_to_loopback=listens_to_loopback
            )
            services = app.state.services
            offered = FEATURES if settings.voice_url else FEATURES - {"text"}
            app.include_router(channel_router(services.live, services.conversations, offered=offered))
            yield

    app = Application(
        routers=ROUTERS,
        title="Visavis",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.openapi = describe(app, ROUTERS, public_url=settings.public_url)  # type: ignore[method-assign]
    app.add_middleware(Gate, first_answer_wait_s=settings.first_answer_wait_s)
    app.add_middleware(Compression)
    app.add_middleware(Envelope)
    if settings.cors_origins:
        app.add_middleware(CrossOrigin, origins=settings.cors_origins)
    app.add_middleware(RequestCounts)
    app.add_middleware(HeadAsGet)
    if settings.fleet:
        app.add_middleware(RelayedCalls)
    if settings.path_prefix:
        app.add_middleware(PathPrefix, prefix=settings.path_prefix)
    add_error_handlers(app, ROUTERS)
    return app


async def _open(
    settings: Settings,
    fleet: Fleet | None,
    prepare: Prepare,
    portraits: Sequence[LibraryPortrait],
    stack: AsyncExitStack,
    *,
    listens_to_loopback: bool,
) -> Services:
    secret = load_secret(settings)
    identity = next_identity(settings.data_dir)
    # The same after every start: stages that outlive this server go on with it.
    source_token = hmac.new(secret, b"stage source", "sha256").hexdigest()
    if fleet is None and not settings.fleet:
        fleet = _fleet(settings, identity, source_token=source_token)
    # Before all else: stages wait a while only for the server that comes back.
    adopted = [] if fleet is None else await _adopt(fleet, stack)
    database = await Database.open(
        settings.resolved_database_url,
        connections=settings.database_connections,
        wait_s=settings.database_wait_s,
    )
    stack.push_async_callback(database.aclose)
    address = (settings.server_url or settings.stage_source_url or settings.public_url) if settings.fleet else None
    server_lease = await stack.enter_async_context(
        ServerLease.held(database, server_id=identity.server_id, address=address)
    )
    session_store, idempotency = SessionStore(database, server_id=identity.server_id), IdempotencyStore(database)
    directory: StageDirectory | None = None
    placed: PlacedFleet | None = None
    if fleet is None:  # its machines stand in the database
        beside = database.beside()
        stack.push_async_callback(beside.aclose)
        directory = StageDirectory(StageStore(database, beside=beside), session_store, server_lease)
        placed = _placed_fleet(settings, identity, directory, server_lease, source_token=source_token)
        fleet = placed
        adopted = await _adopt(fleet, stack)
    traces = open_traces(settings.traces_url)
    stack.push_async_callback(run_sync, traces.close)
    observer = Observer(traces=traces)
    left_claims = await idempotency.unanswered()
    accounts = Accounts(database)
    stack.push_async_callback(_save_uses, accounts)
    readiness = Readiness()
    grace_periods = GracePeriods(
        join_timeout_s=settings.join_timeout_s,
        room_empty_grace_s=settings.room_empty_grace_s,
        channel_grace_s=settings.channel_grace_s,
    )
    fetcher = ImageFetcher(
        max_bytes=MAX_IMAGE_BYTES,
        ports=frozenset(settings.image_url_ports),
        own_url=settings.public_url,
    )
    shared, local = await open_object_store(settings), FolderBlobs(settings.data_dir.absolute())
    backgrounds = Backgrounds(
        blobs=local if shared is None else CachedBlobs(shared=shared, local=local),
        read_source=partial(read_image, fetch_image=fetcher.fetch),
    )
    sending = open_webhooks(settings, database, secret)
    service = Avatars(
        store=AvatarStore(database),
        files=LookFiles(settings.avatars_dir, None if shared is None else LookArchive(shared)),
        preparation=Preparation(prepare, at_once=settings.preparations, waiting=settings.preparations_waiting),
        fetch_image=fetcher.fetch,
        max_per_account=settings.max_avatars_per_account,
        tell=sending.feed.tell,
    )
    vitals = Vitals()
    proxy_rooms = ProxyRooms(_livekit(settings), session_store, secret)
    stack.push_async_callback(proxy_rooms.kept.aclose)
    daily_rooms = DailyRooms(_daily(settings), session_store, secret, carry_hosted=settings.room_provider == "daily")
    stack.push_async_callback(daily_rooms.kept.aclose)
    voices = open_voices(settings)
    if voices is not None:
        stack.push_async_callback(voices.aclose)
    live = LiveSessions(
        fleet=fleet,
        accounts=accounts,
        browser_tokens=BrowserTokens(BrowserTokenStore(database), accounts),
        store=session_store,
        backgrounds=backgrounds,
        grace_periods=grace_periods,
        packs=service,
        secret=secret,
        vitals=vitals,
        feed=sending.feed,
        start_timeout_s=settings.start_timeout_s,
        path_prefix=settings.path_prefix,
        release_room=partial(_release_room, proxy_rooms.kept, daily_rooms.kept),
        voices=voices,
        observer=observer,
        placing=directory,
    )
    ledger = UsageStore(database)
    places = PlaceStore(database, server_id=identity.server_id)
    await places.release_all()
    limits = PlanLimits(
        places=places,
        minutes=MinuteStore(database),
        table=live.table,
        claim_s=settings.start_timeout_s + CLAIM_MARGIN_S,
    )
    request_limits = RequestLimits(
        limit=settings.rate_limit_per_minute,
        servers=server_lease,
        redis_url=None if settings.redis_url is None else settings.redis_url.get_secret_value(),
    )
    stack.push_async_callback(request_limits.aclose)
    relay: Relay | None = None
    if settings.fleet:
        relay = Relay(SessionOwners(database), server_id=identity.server_id, secret=secret)
        stack.push_async_callback(relay.aclose)
    services = Services(
        settings=settings,
        accounts=accounts,
        sign_ins=SignIns(database, accounts, lasts_s=settings.sign_in_s),
        operator_cookies=OperatorCookies(secret, public_url=settings.public_url),
        avatars=service,
        pictures=PictureSigner(secret),
        answers=AnswerSeal(secret),
        sessions=Sessions(
            store=session_store,
            live=live,
            limits=limits,
            backgrounds=backgrounds,
            avatars=service,
            proxy_rooms=proxy_rooms,
            daily_rooms=daily_rooms,
            max_created=settings.max_created_sessions_per_account,
            max_backgrounds=settings.max_backgrounds_per_account,
            secret=secret,
            start_wait_s=settings.start_wait_s,
            ice_servers_of=partial(_session_ice_servers, settings),
        ),
        usage_reports=UsageReports(database),
        billing=Billing(store=session_store, usage=ledger, limits=limits, table=live.table),
        backgrounds=backgrounds,
        live=live,
        conversations=Conversations(),
        revocation=Revocation(accounts=accounts, store=session_store, live=live),
        meter=Meter(table=live.table, usage=ledger),
        retention=Retention(
            store=RetentionStore(database), avatars=service, observer=observer, kept=KeptDays.of(settings)
        ),
        fleet=fleet,
        server_lease=server_lease,
        relay=relay,
        request_limits=request_limits,
        idempotency=idempotency,
        claims=Claims(secret),
        left_claims=left_claims,
        source_token=source_token,
        probes=_probes(settings, database),
        vitals=vitals,
        webhooks=sending.webhooks,
        dispatcher=sending.dispatcher,
        listens_to_loopback=listens_to_loopback,
        readiness=readiness,
    )
    async with database.alone("library"):  # servers that start at once share one library
        await install_library(service, portraits, prepared_only=True)  # the first answer lists the whole library
    background = await stack.enter_async_context(anyio.create_task_group())
    stack.callback(background.cancel_scope.cancel)
    await stack.enter_async_context(live.running())
    last_seen = LastSeen(settings.data_dir)
    stack.callback(last_seen.close)
    await adopt_or_end(session_store, live, observer, adopted, await run_sync(last_seen.read))
    for session in live.table.running.values():
        services.conversations.take_over(session.session_id, *session.conversation)
    tasks = IsolatedTasks(background, vitals=vitals)
    tasks.start("warm_up", partial(_warm_up, services, portraits))
    tasks.start("last_seen", partial(live.run_last_seen, last_seen))
    tasks.start("sweep", partial(_sweep_always, services, session_store))
    tasks.start("revocation", services.revocation.run)
    tasks.start("browser_tokens", partial(live.browser_tokens.run, live.table.running, live.remove_viewer))
    tasks.start("meter", services.meter.run)
    tasks.start("server_lease", server_lease.run)
    if placed is not None:
        watch = OwnerWatch(
            server=server_lease,
            owners=SessionOwners(database),
            store=session_store,
            live=live,
            stages=placed,
            conversations=services.conversations,
        )
        tasks.start("owner_watch", watch.run)
    tasks.start("retention", services.retention.run)
    tasks.start("request_limits", services.request_limits.run)
    tasks.start("probes", services.probes.run)
    tasks.start("webhooks", services.dispatcher.run)
    if settings.livekit_url is not None:
        tasks.start("proxy_rooms", proxy_rooms.kept.run)
    if settings.daily_api_key is not None:
        tasks.start("daily_rooms", daily_rooms.kept.run)
    if voices is not None:
        background.start_soon(voices.prepare)
    return services


def _probes(settings: Settings, database: Database) -> Probes:
    async def ask_disk() -> str | None:
        least_free_bytes = settings.min_free_disk_mb * 1024 * 1024
        return await run_sync(partial(disk_problem, settings.data_dir, least_free_bytes=least_free_bytes))

    return Probes(database=Probe("The database", database.check), disk=Probe("The disk", ask_disk), loop=LoopDelay())


def _fleet(settings: Settings, identity: ServerIdentity, *, source_token: str) -> Fleet:
    """Return the fleet that the settings name: stages on other machines, or processes of this one."""
    from visavis.fleet.admission import Limits
    from visavis.fleet.local import LocalStages
    from visavis.fleet.remote import RemoteStages
    from visavis.fleet.stages import StageFleet
    from visavis.stage.port.address import Address
    from visavis.stage.port.messages import HttpSource

    ice_servers = tuple(_for_stages(server) for server in settings.ice_servers if server.secret is None)
    limits = Limits(
        measured=settings.admission == "measured",
        share=settings.admission_share,
        cores=settings.cores,
        sessions_per_stage=settings.sessions_per_stage,
        sessions=settings.max_sessions,
    )
    if not settings.stage_addresses:
        local = LocalStages(
            data_dir=settings.data_dir.absolute(),
            identity=identity,
            grace_s=settings.stage_grace_s,
            max_stages=settings.stages,
            cores=settings.cores,
            ice_servers=ice_servers,
            silent_s=settings.stage_silence_s,
            network=settings.media_network,
            log_level=settings.log_level,
            log_json=settings.log_json,
        )
        return StageFleet(local, limits=limits, keep_spare=settings.spare_stage and settings.stages is None)
    assert settings.stage_token is not None
    remote = RemoteStages(
        addresses=tuple(Address.parse(address) for address in settings.stage_addresses),
        token=settings.stage_token.get_secret_value(),
        source=HttpSource(url=settings.stage_source_url or settings.public_url or "", token=source_token),
        identity=identity,
        grace_s=settings.stage_grace_s,
        ca_file=settings.stage_ca_file,
        ice_servers=ice_servers,
        silent_s=2 * settings.stage_silence_s,
    )
    return StageFleet(remote, limits=limits)


def _placed_fleet(
    settings: Settings, identity: ServerIdentity, directory: Directory, server: ServerLease, *, source_token: str
) -> PlacedFleet:
    """Return the fleet of the machines in the database."""
    from visavis.fleet.admission import Limits
    from visavis.fleet.remote import RemoteStages
    from visavis.fleet.stages import StageFleet
    from visavis.stage.port.heartbeat import FENCED_PING_EVERY_S
    from visavis.stage.port.messages import HttpSource

    def open_machine(machine: Machine) -> StageFleet:
        processes = RemoteStages(
            addresses=machine.addresses,
            token=machine.token,
            source=HttpSource(url=settings.stage_source_url or settings.public_url or "", token=source_token),
            identity=identity,
            grace_s=settings.stage_grace_s,
            ca_file=settings.stage_ca_file if machine.authority_pem is None else None,
            authority_pem=machine.authority_pem,
            ice_servers=tuple(_for_stages(server) for server in settings.ice_servers if server.secret is None),
            silent_s=2 * settings.stage_silence_s,
            ping_every_s=FENCED_PING_EVERY_S,
        )
        # The database has placed the session there.
        limits = Limits(measured=False)
        return StageFleet(processes, limits=limits, open_all=True, owns_sessions=lambda: server.owns_sessions)

    return PlacedFleet(directory, open_machine)


async def _adopt(fleet: Fleet, stack: AsyncExitStack) -> list[Adopted]:
    """Go on with what stages perform, and close the fleet with the stack."""
    stack.push_async_callback(fleet.aclose)
    stack.push_async_exit(partial(_let_go_after_error, fleet))
    return await fleet.adopt()


def _livekit(settings: Settings) -> LiveKitServer | None:
    """Return the operator's LiveKit server, None without one."""
    if settings.livekit_url is None or settings.livekit_api_key is None or settings.livekit_api_secret is None:
        return None
    secret = settings.livekit_api_secret.get_secret_value()
    return LiveKitServer(LiveKitKey(url=settings.livekit_url, api_key=settings.livekit_api_key, api_secret=secret))


def _daily(settings: Settings) -> DailyServer | None:
    """Return the operator's Daily domain, None without one."""
    if settings.daily_api_key is None:
        return None
    return DailyServer(DailyKey(url=settings.daily_api_url, api_key=settings.daily_api_key.get_secret_value()))


def _release_room(proxy: KeptRooms, daily: KeptRooms, room_name: str) -> None:
    proxy.release(room_name)
    daily.release(room_name)


def _for_stages(server: IceServer) -> spec.IceServer:
    return spec.IceServer(
        url=server.url,
        username=server.username,
        credential=None if server.credential is None else server.credential.get_secret_value(),
    )


def _session_ice_servers(settings: Settings, session_id: str) -> tuple[spec.IceServer, ...]:
    """Return the TURN servers that share a secret with this one, with credentials that expire."""
    sharing = [server for server in settings.ice_servers if server.secret is not None]
    return tuple(_for_stages(for_session(server, session_id, now_s=now_ms() // 1000)) for server in sharing)


async def _warm_up(services: Services, portraits: Sequence[LibraryPortrait]) -> None:
    """Start the first stage, and prepare what the library brings no pack for; then let the default avatar rehearse, so
    that the first client need not wait for it.

    A server that cannot do one of these still answers, says so in /readyz, and tries again.
    """
    ready = services.readiness
    default: AvatarRecord | None = None
    stage_tried = anyio.Event()

    async def warm_stage() -> None:
        try:
            await services.fleet.start()
            ready.stage = True
        except Exception:  # the outermost edge of the warming up
            log.exception("stage_not_started")
        stage_tried.set()

    async def default_there(look: AvatarRecord) -> None:
        """The default avatar rehearses before the rest of the library is prepared: clients need not wait for that."""
        await stage_tried.wait()
        if ready.stage:
            await rehearse(look)

    async def rehearse(look: AvatarRecord) -> None:
        try:
            if not services.settings.fleet:  # there machines are many, and a session would need a row
                await _rehearse(services, look)
            ready.default_avatar = True
        except Exception:  # the outermost edge of the warming up
            log.exception("default_avatar_cannot_perform")

    while True:
        async with anyio.create_task_group() as tasks:
            if not ready.stage:
                tasks.start_soon(warm_stage)
            if default is None and portraits:
                try:
                    default = await install_library(services.avatars, portraits, default_there)
                except Exception:  # the outermost edge of the warming up
                    log.exception("library_not_installed")
        if ready.stage and default is not None and not ready.default_avatar:
            await rehearse(default)
        if ready.stage and (ready.default_avatar or not portraits):
            return
        await anyio.sleep(services.settings.sweep_interval_s)


async def _rehearse(services: Services, look: AvatarRecord) -> None:
    """Have a stage load the avatar once, unseen. Raises what `Fleet.allocate` raises: then it cannot perform."""
    session_id = new_id("sess")
    performer, _ = await allocate(
        services.fleet, services.avatars, look.id, lambda pack: PerformanceSpec(session_id=session_id, pack=pack)
    )
    await performer.end()


async def _let_go_after_error(fleet: Fleet, kind: type[BaseException] | None, *_: object) -> None:
    """Leave the stages to the next start if this one has failed."""
    if kind is not None:
        await fleet.let_go()


async def _save_uses(accounts: Accounts) -> None:
    """Save the last uses of keys at the end of the server."""
    try:
        await accounts.save_uses()
    except Exception:  # the outermost edge: a database that fails does not keep the server from closing
        log.exception("uses_not_saved")


async def _sweep_always(services: Services, store: SessionStore) -> None:
    while True:
        await anyio.sleep(services.settings.sweep_interval_s)
        try:
            await sweep_sessions(store, services.live, created_ttl_s=services.settings.created_session_ttl_s)
            await services.revocation.end_sessions()
            await services.accounts.save_uses()
            await services.sign_ins.remove_expired()
            await services.live.browser_tokens.remove_expired()
            await services.backgrounds.delete_orphans(store)
            await services.avatars.purge(spared=services.live.table.starting_avatars())
            await services.idempotency.delete_expired(at_ms=now_ms())
            await services.webhooks.sweep(kept_ms=int(services.settings.webhook_log_days * 24 * 3_600_000))
        except Exception:  # the outermost edge of a sweep: the next one tries again
            log.exception("sweep_failed")
