"""The application: everything the service is, put together and taken apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import anyio
from anyio.to_thread import run_sync
from fastapi import FastAPI

from visavis import __version__
from visavis.accounts.sealing import AnswerSeal
from visavis.accounts.service import Accounts
from visavis.accounts.sign_ins import SignIns
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
from visavis.api.probes import probes_of
from visavis.api.relay import Relay, RelayedCalls
from visavis.api.request_counts import RequestCounts
from visavis.api.request_limits import RequestLimits
from visavis.api.routers import ROUTERS
from visavis.api.services import Readiness, Services
from visavis.api.sweeping import save_uses, sweep_always
from visavis.api.warm_up import warm_up
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
from visavis.fleet.from_settings import authorities_of_servers, name_links_without_tls, own_fleet, placed_fleet
from visavis.fleet.ice_servers import session_ice_servers
from visavis.fleet.identity import next_identity
from visavis.fleet.placed import PlacedFleet
from visavis.fleet.port import Adopted, Fleet
from visavis.library import PORTRAITS, LibraryPortrait
from visavis.proxy_rooms.daily import daily_server
from visavis.proxy_rooms.daily_rooms import DailyRooms
from visavis.proxy_rooms.kept_rooms import KeptRooms
from visavis.proxy_rooms.livekit import livekit_server
from visavis.proxy_rooms.rooms import ProxyRooms
from visavis.sessions.backgrounds import Backgrounds
from visavis.sessions.billing import Billing
from visavis.sessions.browser_tokens import BrowserTokens
from visavis.sessions.claims import Claims
from visavis.sessions.deadlines import GracePeriods
from visavis.sessions.isolated_tasks import IsolatedTasks, Vitals
from visavis.sessions.live_session import certain
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
from visavis.sessions.stage_sources import MachineSources, NamedStageSources, StageSources
from visavis.sessions.sweep import adopt_or_end
from visavis.settings import Settings, load_secret
from visavis.store.avatars import AvatarStore
from visavis.store.blobs import FolderBlobs
from visavis.store.browser_tokens import BrowserTokenStore
from visavis.store.cached_blobs import CachedBlobs
from visavis.store.database import Database
from visavis.store.idempotency import IdempotencyStore
from visavis.store.last_seen import LastSeen
from visavis.store.minutes import MinuteStore
from visavis.store.object_store import open_object_store
from visavis.store.places import PlaceStore
from visavis.store.retention import RetentionStore
from visavis.store.session_owners import SessionOwners
from visavis.store.sessions import SessionStore
from visavis.store.stages import StageStore
from visavis.store.usage import UsageStore
from visavis.store.usage_reports import UsageReports
from visavis.telemetry.traces import open_traces
from visavis.tls.trust import trust_in
from visavis.voice.voices import open_voices
from visavis.webhooks.sending import open_webhooks

CLAIM_MARGIN_S = 60  # after a start's time-out: until then a server that died holds the place


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
    stage_sources: StageSources = (named := NamedStageSources(secret))
    if fleet is None and not settings.fleet:
        fleet = own_fleet(settings, identity, source_token=named.token)
    # Before all else: stages wait a while only for the server that comes back.
    adopted = [] if fleet is None else await _adopt(fleet, stack)
    database = await Database.open(
        settings.resolved_database_url,
        connections=settings.database_connections,
        wait_s=settings.database_wait_s,
    )
    stack.push_async_callback(database.aclose)
    name_links_without_tls(settings)
    address = (settings.server_url or settings.stage_source_url) if settings.fleet else None
    server_lease = await stack.enter_async_context(
        ServerLease.held(database, server_id=identity.server_id, address=address)
    )
    session_store, idempotency = SessionStore(database, server_id=identity.server_id), IdempotencyStore(database)
    directory: StageDirectory | None = None
    placed: PlacedFleet | None = None
    if fleet is None:  # its machines stand in the database
        beside = database.beside()
        stack.push_async_callback(beside.aclose)
        stages = StageStore(database, beside=beside)
        directory = StageDirectory(stages, session_store, server_lease)
        stage_sources = (machines := MachineSources(secret, stages))
        placed = placed_fleet(
            settings,
            identity,
            directory,
            source_token_of=machines.token_of,
            owns_sessions=lambda: server_lease.owns_sessions,
        )
        fleet = placed
        adopted = await _adopt(fleet, stack)
    traces = open_traces(settings.traces_url)
    stack.push_async_callback(run_sync, traces.close)
    observer = Observer(traces=traces)
    left_claims = await idempotency.unanswered()
    accounts = Accounts(database)
    stack.push_async_callback(save_uses, accounts)
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
    proxy_rooms = ProxyRooms(livekit_server(settings), session_store, secret)
    stack.push_async_callback(proxy_rooms.kept.aclose)
    carries_hosted = settings.room_provider == "daily"
    daily_rooms = DailyRooms(daily_server(settings), session_store, secret, carry_hosted=carries_hosted)
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
        until_certain=certain if placed is None else server_lease.until_certain,
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
        believed = trust_in(authorities_of_servers(settings))
        relay = Relay(SessionOwners(database), server_id=identity.server_id, secret=secret, tls=believed)
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
            ice_servers_of=partial(session_ice_servers, settings),
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
        stage_sources=stage_sources,
        probes=probes_of(settings, database),
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
    seen = await run_sync(last_seen.read)
    unasked = await adopt_or_end(session_store, live, observer, adopted, seen, asks_stages=placed is not None)
    for session in live.table.running.values():
        services.conversations.take_over(session.session_id, *session.conversation)
    tasks = IsolatedTasks(background, vitals=vitals)
    tasks.start("warm_up", partial(warm_up, services, portraits))
    tasks.start("last_seen", partial(live.run_last_seen, last_seen))
    tasks.start("sweep", partial(sweep_always, services, session_store))
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
        watch.expect(unasked)
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


async def _adopt(fleet: Fleet, stack: AsyncExitStack) -> list[Adopted]:
    """Go on with what stages perform, and close the fleet with the stack."""
    stack.push_async_callback(fleet.aclose)
    stack.push_async_exit(partial(_let_go_after_error, fleet))
    return await fleet.adopt()


def _release_room(proxy: KeptRooms, daily: KeptRooms, room_name: str) -> None:
    proxy.release(room_name)
    daily.release(room_name)


async def _let_go_after_error(fleet: Fleet, kind: type[BaseException] | None, *_: object) -> None:
    """Leave the stages to the next start if this one has failed."""
    if kind is not None:
        await fleet.let_go()
