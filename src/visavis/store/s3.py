"""Blobs in a bucket of S3, or of a server that speaks S3 (docs/howto/databases.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from visavis.errors import SettingInvalid, StorageUnusable
from visavis.store.blobs import check_name

if TYPE_CHECKING:
    from obstore.store import S3Store

TIMEOUT_S, CONNECT_TIMEOUT_S = 20, 5
RETRIES, RETRY_WITHIN_S = 3, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Where blobs lie in S3. `endpoint`: None for AWS. Without a key the environment or the machine's
    role gives one.
    """

    name: str
    prefix: str
    region: str
    endpoint: str | None = None
    key_id: str | None = None
    secret_key: str | None = None


class S3Blobs:
    """Implements `Blobs`. Each call is one or a few requests, which are tried again a few times."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    @classmethod
    async def open(cls, bucket: Bucket) -> S3Blobs:
        """Look into the bucket once. Raises `StorageUnusable`, and `SettingInvalid` if the client is not installed."""
        try:
            from obstore.store import S3Store
        except ModuleNotFoundError:
            raise SettingInvalid("VISAVIS_S3_URL needs a client for S3", suggestion="Install visavis[s3]") from None
        given: dict[str, Any] = {
            name: value
            for name, value in (
                ("endpoint", bucket.endpoint),
                ("access_key_id", bucket.key_id),
                ("secret_access_key", bucket.secret_key),
            )
            if value is not None
        }
        store = S3Store(
            bucket.name,
            prefix=bucket.prefix or None,
            region=bucket.region,
            virtual_hosted_style_request=False,
            client_options={
                "allow_http": True,
                "timeout": timedelta(seconds=TIMEOUT_S),
                "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_WITHIN_S)},
            **given,
        )
        blobs = cls(store)
        await blobs.names("avatars")
        return blobs

    async def put(self, name: str, data: bytes) -> None:
        import obstore

        with _translated():
            await obstore.put_async(self._store, check_name(name), data)

    async def get(self, name: str) -> bytes | None:
        import obstore

        with _translated():
            try:
                found = await obstore.get_async(self._store, check_name(name))
                return bytes(await found.bytes_async())
            except FileNotFoundError:
                return None

    async def names(self, prefix: str) -> list[str]:
        import obstore

        with _translated():
            found = await obstore.list_with_delimiter_async(self._store, check_name(prefix) + "/")
        paths = [*found["common_prefixes"], *(one["path"] for one in found["objects"])]
        return sorted({path.rstrip("/").rpartition("/")[2] for path in paths})

    async def delete(self, name: str) -> None:
        import obstore

        with _translated():
            try:
                await obstore.delete_async(self._store, check_name(name))
            except FileNotFoundError:
                return

    async def delete_all(self, prefix: str) -> None:
        import obstore

        with _translated():
            async for page in obstore.list(self._store, check_name(prefix) + "/"):
                for one in page:
                    await self.delete(one["path"])


@contextmanager
def _translated() -> Iterator[None]:
    """Raise `StorageUnusable` in place of an error of S3. Its own text names addresses, and clients read this."""
    from obstore.exceptions import BaseError

    try:
        yield
    except BaseError as error:
        kind = type(error).__name__.removesuffix("Error")
        raise StorageUnusable(f"The object store cannot be used now ({kind})") from error
    except OSError as error:
        raise StorageUnusable("The object store cannot be used now") from error
