"""Records for the tests of a database, each with what its table needs and nothing else."""

from __future__ import annotations

from dataclasses import fields

from visavis.store.records import SessionRecord, WebhookRecord


def make_session(session_id: str, **changes: object) -> SessionRecord:
    values = dict.fromkeys(field.name for field in fields(SessionRecord)) | {
        "id": session_id,
        "account_id": "acct_1",
        "key_id": "key_1",
        "test": False,
        "dialect": "hosted",
        "status": "created",
        "avatar_id": "a",
        "avatar_name": "A",
        "token_hash": "t",
        "room_name": "room-" + session_id,
        "metadata": {},
        "created_at_ms": 1,
        "epoch": 0,
    }
    return SessionRecord(**values | changes)  # type: ignore[arg-type]


def make_webhook(webhook_id: str, *, account_id: str) -> WebhookRecord:
    values = dict.fromkeys(field.name for field in fields(WebhookRecord)) | {
        "id": webhook_id,
        "account_id": account_id,
        "test": False,
        "url": "http://127.0.0.1:9/",
        "events": [],
        "secret": "secret",
        "created_at_ms": 1,
    }
    return WebhookRecord(**values)  # type: ignore[arg-type]
