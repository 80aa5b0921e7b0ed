"""Opens the object store that the settings name."""

from __future__ import annotations

from visavis.settings import Settings
from visavis.store.blobs import Blobs


async def open_object_store(settings: Settings) -> Blobs | None:
    """Return the object store; None if all files are in the data folder alone. Raises `StorageUnusable`, and
    `SettingInvalid` if its client is not installed.
    """
    if settings.s3_url is None:
        return None
    from visavis.store.s3 import Bucket, S3Blobs

    name, _, prefix = settings.s3_url.removeprefix("s3://").strip("/").partition("/")
    key_id, secret_key = settings.s3_access_key_id, settings.s3_secret_access_key
    return await S3Blobs.open(
        Bucket(
            name=name,
            prefix=prefix,
            region=settings.s3_region,
            endpoint=settings.s3_endpoint,
            key_id=None if key_id is None else key_id.get_secret_value(),
            secret_key=None if secret_key is None else secret_key.get_secret_value(),
        )
    )
