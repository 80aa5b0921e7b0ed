"""The addresses in the answer to a request: of pictures, rooms and channels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from visavis.avatars.picture_signatures import PictureSigner
from visavis.store.records import AnySession, SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """`base_url`: where the caller reaches this server, without a slash at the end. `public_avatars`: the ids of
    avatars whose pictures anyone may see; the addresses of all other pictures are signed. `now_s`: unix time.
    """

    base_url: str
    signer: PictureSigner
    now_s: int
    public_avatars: frozenset[str] = frozenset()

    def with_public(self, avatar_ids: Iterable[str | None]) -> Addresses:
        return replace(self, public_avatars=frozenset(one for one in avatar_ids if one is not None))

    def picture(self, avatar_id: str, name: str) -> str:
        address = f"{self.base_url}/media/avatars/{avatar_id}/{name}"
        if avatar_id in self.public_avatars:
            return address
        return f"{address}?{self.signer.query(avatar_id, name, now_s=self.now_s)}"

    def room(self, record: AnySession) -> str:
        return f"{self.base_url}/rooms/{record.room_name}"

    def channel(self, record: SessionRecord) -> str:
        return f"ws{self.base_url.removeprefix('http')}/v1/channel/{record.id}"
