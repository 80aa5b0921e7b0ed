"""Avatars: who may use them, how they are made from photos, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import structlog
from anyio.to_thread import run_sync

from visavis.avatars.face_points import read_points
from visavis.avatars.fetch import FetchImage
from visavis.avatars.look_files import REPORT, LookFiles
from visavis.avatars.places import Places
from visavis.avatars.preparation import Preparation, Prepare
from visavis.engine.images.image_type import MAX_IMAGE_BYTES
from visavis.engine.pack_ref import PackRef
from visavis.engine.portrait.points import SevenPoints
from visavis.engine.portrait.report import PreparationReport, read_report
from visavis.errors import (
    AccessDenied,
    AvatarLimitReached,
    AvatarNotALook,
    AvatarNotFound,
    ImageTooLarge,
    PackUnreadable,
    PortraitRefused,
    PreparationFailed,
    ReportNotFound,
)
from visavis.ids import is_id, new_id
from visavis.stage.port.archive import pack_archive
from visavis.store.avatar_news import avatar_failed
from visavis.store.avatars import AvatarStore
from visavis.store.failures import translated_disk_errors
from visavis.store.news import News
from visavis.store.records import AvatarRecord, KeyRecord
from visavis.timestamps import now_ms

log = structlog.get_logger()

MOST_REMEMBERED = 10_000  # avatars
FETCHED_AT_ONCE, FETCHES_WAITING = 8, 16  # addresses of photos


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An avatar in a list. `face_id`: the look whose pictures represent it; None for a character without looks."""

    avatar: AvatarRecord
    looks_count: int
    face_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIds:
    """The ids of a new character and its look."""

    character_id: str
    look_id: str


class Avatars:
    """`max_per_account`: how many looks an account may have. `tell`: takes what webhooks are told."""

    def __init__(
        self,
        *,
        store: AvatarStore,
        files: LookFiles,
        preparation: Preparation,
        fetch_image: FetchImage,
        max_per_account: int,
        tell: Callable[[News], None] = lambda _news: None,
    ) -> None:
        self._store = store
        self._max_per_account = max_per_account
        self._files = files
        self._preparation = preparation
        self._fetch_image = fetch_image
        self._tell = tell
        self._fetching = Places(at_once=FETCHED_AT_ONCE, waiting=FETCHES_WAITING, things="image addresses")
        self._rebuilding: dict[str, anyio.Lock] = {}  # by look, while its pack is rebuilt
        self._are_public: dict[str, bool] = {}  # by avatar: whether anyone may use it

    async def pack_ref(self, look_id: str) -> PackRef:
        """Return the name of the look's pack. Raises `NotFound`, and `PackUnreadable` if the pack must be made again by
        `rebuild` first.
        """
        return await self._files.pack_ref(look_id)

    def pack_folder(self, ref: PackRef) -> Path:
        """Return where that pack lies on this machine."""
        return self._files.pack_folder(ref)

    async def pack_archive(self, ref: PackRef) -> bytes | None:
        """Return a pack for a stage on another machine (stage/port/archive.py), None where there is no such pack."""
        try:
            return await run_sync(pack_archive, self._files.pack_folder(ref))
        except OSError:
            return None

    async def get(self, avatar_id: str) -> AvatarRecord | None:
        return await self._store.get(avatar_id) if is_id("avat", avatar_id) else None

    async def to_perform(self, key: KeyRecord, avatar_id: str) -> AvatarRecord:
        """Return a look that the key may use. Raises `NotFound`, `AccessDenied`, `AvatarNotALook`."""
        avatar = await self._accessible(key, avatar_id)
        if avatar.parent_id is None:
            looks = await self._store.looks_of([avatar.id])
            hint = f"Use one of its looks: {', '.join(look.id for look in looks[:5])}" if looks else "It has no looks"
            raise AvatarNotALook("This avatar is a character; only a look can perform", suggestion=hint)
        return avatar

    async def look_of(self, key: KeyRecord, avatar_id: str) -> AvatarRecord:
        """Return a look that the key may use; for a character, its first look. Raises what `to_perform` raises."""
        avatar = await self._accessible(key, avatar_id)
        if avatar.parent_id is not None:
            return avatar
        looks = await self._store.looks_of([avatar.id])
        if not looks:
            raise AvatarNotALook("This avatar has no look that could perform")
        return looks[0]

    async def _accessible(self, key: KeyRecord, avatar_id: str) -> AvatarRecord:
        avatar = await self.get(avatar_id)
        if avatar is None:
            raise AvatarNotFound
        if not avatar.is_public and avatar.owner_account_id != key.account_id:
            raise AccessDenied(
                "Access denied to this avatar",
                suggestion="You do not have permission to create sessions with this avatar",
            )
        return avatar

    # Lists

    async def listed(self, key: KeyRecord, *, parent_id: str | None, characters_only: bool) -> list[Listed]:
        """Return the avatars that the key may use (those of its account and public ones), newest first. With
        `parent_id`: the looks of that character. Raises `AvatarNotFound` if there is no such avatar that it may use.
        """
        if parent_id is not None:
            await self._check_visible(key, parent_id)
            found = await self._store.visible(key.account_id, parent_id=parent_id)
        else:
            found = await self._store.visible(key.account_id, level="characters" if characters_only else "any")
        return await self._with_faces(found)

    async def public(self, *, characters_only: bool, limit: int = 100) -> list[Listed]:
        level = "characters" if characters_only else "any"
        return await self._with_faces(await self._store.visible("", own=False, level=level, limit=limit))

    async def flat(self, key: KeyRecord, *, parent_id: str | None) -> tuple[list[AvatarRecord], list[AvatarRecord]]:
        """Return the public looks, and the looks of the key's account. `parent_id` as of `listed`."""
        if parent_id is not None:
            await self._check_visible(key, parent_id)
        public = await self._store.visible(key.account_id, own=False, level="looks", parent_id=parent_id, limit=100)
        return public, await self._store.visible(key.account_id, public=False, level="looks", parent_id=parent_id)

    async def _check_visible(self, key: KeyRecord, avatar_id: str) -> None:
        """Raises `AvatarNotFound` unless the key may use this avatar."""
        found = await self.get(avatar_id)
        if found is None or not (found.is_public or found.owner_account_id == key.account_id):
            raise AvatarNotFound

    async def _with_faces(self, avatars: list[AvatarRecord]) -> list[Listed]:
        looks: dict[str, list[AvatarRecord]] = {}
        for look in await self._store.looks_of([avatar.id for avatar in avatars if avatar.parent_id is None]):
            looks.setdefault(look.parent_id or "", []).append(look)
        listed = []
        for avatar in avatars:
            own = looks.get(avatar.id, [])
            face_id = avatar.id if avatar.parent_id is not None else (own[0].id if own else None)
            listed.append(Listed(avatar=avatar, looks_count=len(own), face_id=face_id))
        return listed

    # New ones, and the end of old ones

    async def add_from_url(
        self, key: KeyRecord, url: str, *, name: str, points: SevenPoints | None = None, ids: NewIds | None = None
    ) -> AvatarRecord:
        """Fetch a photo and make an avatar of it, as `add` does. Raises `ImageUrlRefused` too."""
        if (made := await self._made(ids)) is not None:
            return made
        await self._check_quota(key)
        async with self._fetching.place(key.account_id):
            with self._told_failure(key, name):
                image = await self._fetch_image(url)
        return await self.add(image, name=name, owner=key, points=points, ids=ids)

    async def add(
        self,
        image: bytes,
        *,
        name: str,
        look_name: str = "Look",
        owner: KeyRecord | None,
        public: bool = False,
        library_name: str | None = None,
        digest: str | None = None,
        tags: tuple[str, ...] = (),
        character_id: str | None = None,
        created_at_ms: int | None = None,
        points: SevenPoints | None = None,
        prepare: Prepare | None = None,
        ids: NewIds | None = None,
    ) -> AvatarRecord:
        """Make a character with one look from a photo, or one more look of `character_id`; return the look. `points`:
        where the face is; without them it is found. `prepare`: as for `prepare`.

        `ids`: of the new ones; if they exist already, nothing is made, and the look is returned.

        Lists show the newest avatars first: `created_at_ms` (default: now) sets the place of the new ones.

        Raises the `PortraitRefused` family, `AvatarLimitReached` and `NoCapacity`.
        """
        if (made := await self._made(ids)) is not None:
            return made
        with self._told_failure(owner, name):
            if len(image) > MAX_IMAGE_BYTES:
                raise ImageTooLarge(f"The image is larger than {MAX_IMAGE_BYTES // 1_000_000} MB")
        await self._check_quota(owner)
        ids = ids or NewIds(character_id=new_id("avat"), look_id=new_id("avat"))
        parent, look_id = character_id or ids.character_id, ids.look_id
        with self._told_failure(owner, name):
            await self.prepare(
                look_id, image, points, holder="library" if owner is None else owner.account_id, prepare=prepare
            )
        now = now_ms()
        character, look = (
            AvatarRecord(
                id=avatar_id,
                parent_id=parent_id,
                owner_account_id=None if owner is None else owner.account_id,
                name=shown_name,
                is_public=public,
                tags=list(tags),
                library_name=library_name,
                digest=digest,
                created_at_ms=now if created_at_ms is None else created_at_ms,
                updated_at_ms=now,
                deleted_at_ms=None,
                purged_at_ms=None,
                photo_removed_at_ms=None,
            )
            for avatar_id, parent_id, shown_name in ((parent, None, name), (look_id, parent, f"{name} ({look_name})"))
        )
        try:
            new = [character, look] if character_id is None else [look]
            await self._store.add(new, check=self._check_count, owner=owner)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._files.remove(look_id)
            raise
        return look

    async def _made(self, ids: NewIds | None) -> AvatarRecord | None:
        """Return the look that an earlier server has made under these ids before it died."""
        return None if ids is None else await self._store.get(ids.look_id)

    async def replace(
        self, key: KeyRecord, avatar_id: str, image: bytes, *, points: SevenPoints | None = None
    ) -> AvatarRecord:
        """Make a look of the key's account anew from another photo, under its id; for a character, its first look.
        Sessions that run go on as they are. Raises what `owned_look` raises, the `PortraitRefused` family and
        `NoCapacity`; then the look is as it was.
        """
        look = await self.owned_look(key, avatar_id)
        with self._told_failure(key, look.name):
            if len(image) > MAX_IMAGE_BYTES:
                raise ImageTooLarge(f"The image is larger than {MAX_IMAGE_BYTES // 1_000_000} MB")
            await self.prepare(look.id, image, points, holder=key.account_id)
        replaced = await self._store.set_replaced(look, at_ms=now_ms(), owner=key)
        if replaced is None:  # it was deleted meanwhile
            await self._files.remove(look.id)
            raise AvatarNotFound
        return replaced

    async def owned_look(self, key: KeyRecord, avatar_id: str) -> AvatarRecord:
        """Return a look of the key's account; for a character, its first look. Raises `NotFound`, also for a private
        avatar of another account, `AccessDenied` for a public one, and `AvatarNotALook`.
        """
        avatar = await self.get(avatar_id)
        if avatar is None or (avatar.owner_account_id != key.account_id and not avatar.is_public):
            raise AvatarNotFound
        if avatar.owner_account_id != key.account_id:
            raise AccessDenied("Access denied to this avatar", suggestion="Only avatars of your own can be changed")
        return await self.look_of(key, avatar_id)

    async def fetch_photo(self, key: KeyRecord, url: str) -> bytes:
        """Return the photo at an address. Raises `ImageUrlRefused`, `ImageTooLarge` and `NoCapacity`."""
        async with self._fetching.place(key.account_id):
            return await self._fetch_image(url)

    @contextmanager
    def _told_failure(self, owner: KeyRecord | None, name: str) -> Iterator[None]:
        """Tell webhooks of a photo that cannot become an avatar."""
        try:
            yield
        except (PortraitRefused, PreparationFailed) as error:
            if owner is not None:
                self._tell(avatar_failed(owner, name=name, error=error, at_ms=now_ms()))
            raise

    async def _check_quota(self, owner: KeyRecord | None) -> None:
        """Refuse a photo before it is fetched and prepared. Raises `AvatarLimitReached`."""
        if owner is not None:
            self._check_count(await self._store.count_looks(owner.account_id))

    def _check_count(self, looks: int) -> None:
        if looks >= self._max_per_account:
            raise AvatarLimitReached(current=looks, maximum=self._max_per_account)

    async def undo(self, look: AvatarRecord) -> None:
        """Remove a look that `add` has just made, and its character, as if they had never been."""
        await self._store.remove([look.id, *([] if look.parent_id is None else [look.parent_id])])
        await self._files.remove(look.id)

    async def prepare(
        self,
        look_id: str,
        image: bytes,
        points: SevenPoints | None = None,
        *,
        holder: str | None = None,
        prepare: Prepare | None = None,
    ) -> PackRef:
        """Prepare a look from a photo, and return the name of its pack. The look keeps what it had until the new
        preparation is complete. `holder`: see `Preparation.run`; by default the look. `prepare`: does it at once, in
        place of the engine. Raises the `PortraitRefused` family, `NoCapacity` and `StorageUnusable`; then nothing has
        changed.
        """
        async with self._files.staging(look_id) as staged:
            if prepare is None:
                prepare = partial(self._preparation.run, holder=holder or look_id)
            with translated_disk_errors("The avatar"):
                await prepare(image, staged, points=points)
            told = None if points is None else points.plain()
            return await self._files.publish(look_id, staged, photo=image, points=told)

    async def rebuild(self, look_id: str) -> None:
        """Build the pack of a look again from its photo, because it is damaged, missing or of another version. Calls at
        the same time wait for one preparation.

        Raises `PackUnreadable` if that is not possible, and `NoCapacity`.
        """
        lock = self._rebuilding.setdefault(look_id, anyio.Lock())
        waited = lock.locked()
        try:
            async with lock:
                if not waited:
                    await self._rebuild(look_id)
        finally:
            if not lock.locked():
                self._rebuilding.pop(look_id, None)

    async def _rebuild(self, look_id: str) -> None:
        source = await self._files.source(look_id)
        if source is None:
            raise PackUnreadable(
                "The avatar's files are damaged, and so is its photo", suggestion="Upload the photo again"
            )
        photo, marked = source
        try:
            await self.prepare(look_id, photo, None if marked is None else read_points(marked.decode(errors="replace")))
        except PortraitRefused as refusal:
            problem = f"The avatar's files are damaged, and its photo cannot be used any more: {refusal.message}"
            raise PackUnreadable(problem, suggestion="Upload another photo") from refusal
        log.info("pack_rebuilt", avatar_id=look_id)

    async def report(self, key: KeyRecord, avatar_id: str) -> PreparationReport:
        """Return the report on the photo of a look, or of a character's first look. Raises `NotFound`, `AccessDenied`,
        `AvatarNotALook`.
        """
        look = await self.look_of(key, avatar_id)
        stored = await self._files.read(look.id, REPORT)
        try:
            if stored is not None:
                return read_report(stored.decode())
        except ValueError:
            log.warning("report_unreadable", avatar_id=look.id)
        raise ReportNotFound

    async def delete(self, key: KeyRecord, avatar_id: str) -> None:
        """Delete an avatar of the key's account; a character is deleted with its looks. The files are removed by
        `purge`, when no live session uses them.

        Raises `NotFound`, also for a private avatar of another account, and `AccessDenied` for a public one.
        """
        avatar = await self.get(avatar_id)
        if avatar is None or (avatar.owner_account_id != key.account_id and not avatar.is_public):
            raise AvatarNotFound
        if avatar.owner_account_id != key.account_id:
            raise AccessDenied("Access denied to this avatar", suggestion="Only avatars of your own can be deleted")
        await self._store.delete(avatar.id, at_ms=now_ms())

    async def delete_as_operator(self, avatar_id: str) -> None:
        """Delete an avatar of any account, as `delete` does. Raises `NotFound`, and `AccessDenied` for one of the
        library, which the next start would bring back.
        """
        avatar = await self.get(avatar_id)
        if avatar is None:
            raise AvatarNotFound
        if avatar.owner_account_id is None:
            raise AccessDenied("Access denied to this avatar", suggestion="Avatars of the library cannot be deleted")
        await self._store.delete(avatar.id, at_ms=now_ms())

    async def page(self, *, account_id: str | None, before_id: str | None, limit: int) -> list[AvatarRecord]:
        """Return looks of an account, or of all and of the library, newest first."""
        return await self._store.page(account_id=account_id, before_id=before_id, limit=limit)

    async def purge(self, *, spared: set[str]) -> None:
        """Remove the files of deleted avatars that no live session uses, and replaced packs; except those of the
        avatars `spared`.
        """
        for avatar in await self._store.to_purge(at_ms=now_ms()):
            if avatar.id not in spared:
                await self._files.remove(avatar.id)
                await self._store.set_purged(avatar.id, at_ms=now_ms())
        copies = await self._files.copies()
        for look_id in await self._store.purged_among(copies):  # by another server
            await self._files.remove_copy(look_id)
        await self._files.sweep(spared=spared)

    async def remove_photos(self, *, before_ms: int) -> int:
        """Remove the photos of looks that were made before an instant; return how many. Their packs and pictures stay:
        a pack that must be made again is made of the picture. Removes the copies of photos that another server has
        removed, too.
        """
        looks = await self._store.with_photo(made_before_ms=before_ms)
        for look_id in looks:
            await self._files.remove_photo(look_id)
            await self._store.set_photo_removed(look_id, at_ms=now_ms())
        for look_id in await self._store.without_photo_among(await self._files.copies()):
            await self._files.remove_photo_copy(look_id)
        return len(looks)

    async def public_among(self, avatar_ids: Collection[str]) -> frozenset[str]:
        """Return those of the avatars that anyone may use. That never changes, so it is remembered."""
        known = self._are_public if len(self._are_public) < MOST_REMEMBERED else {}
        unknown = [one for one in avatar_ids if one not in known]
        if unknown:
            public = await self._store.public_among(unknown)
            known = self._are_public = known | {one: one in public for one in unknown}
        return frozenset(one for one in avatar_ids if known[one])

    async def picture(self, avatar: AvatarRecord, name: str) -> bytes:
        """Return a JPEG of an avatar; for a character, that of its first look. Raises `NotFound`."""
        face = (await self._with_faces([avatar]))[0].face_id
        data = None if face is None else await self._files.read(face, name)
        if data is None:
            raise AvatarNotFound
        return data

    async def of_library(self) -> list[AvatarRecord]:
        return await self._store.of_library()

    async def refreshed(self, look: AvatarRecord, digest: str) -> None:
        """A library look was prepared again."""
        await self._store.set_digest(look.id, digest, at_ms=now_ms())
