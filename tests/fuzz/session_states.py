"""What a model says of every call about sessions, whoever makes it and in whatever order: docs/reference/rest.md.

Rules name sessions by numbers of the model, not by their ids. Nobody knows which of several calls at once wins, and
Hypothesis needs the same model when it repeats the steps. So the winners of a race get the lower numbers, or the race
ends in the same state whoever wins.
"""

from __future__ import annotations

from typing import Any

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from tests.fuzz.session_clients import CALLERS, MOST, OPERATOR, OWNER, Clients
from tests.fuzz.session_model import (
    ENDED,
    NO_PLACE,
    NOT_ENDED,
    NOT_FOUND,
    NOT_STARTED,
    STATUSES,
    Kept,
    Modelled,
    refusal,
    unsigned,
)

LOST_WITHIN = 10_000  # calls until a lost performer has ended its session

callers = st.sampled_from(CALLERS)


class SessionStates(RuleBasedStateMachine):
    """`clients` are set by the test that runs it."""

    clients: Clients
    sessions = Bundle("sessions")
    kept_answers = Bundle("kept_answers")

    def __init__(self) -> None:
        super().__init__()
        self.model: list[Modelled] = []  # a session's number is its place
        self.keys = 0

    @initialize()
    def begin(self) -> None:
        self.clients.new_accounts()

    # --- the model

    def add(self, session_id: str, account: str, dialect: str, status: str, metadata: dict[str, str]) -> int:
        assert session_id not in {one.session_id for one in self.model}
        self.model.append(Modelled(session_id, account, dialect, status, metadata))
        return len(self.model) - 1

    def of(self, account: str, *statuses: str) -> list[Modelled]:
        return [one for one in self.model if one.account == account and one.status in statuses]

    def free(self, account: str) -> int:
        return MOST - len(self.of(account, "started"))

    def seen(self, number: int, caller: str) -> tuple[str, Modelled | None]:
        """Return the path of a session, and the session if this caller sees it."""
        one = self.model[number]
        is_seen = one.account == OWNER[caller] and one.status != "deleted"
        return f"/sessions/{one.session_id}", one if is_seen else None

    # --- creates

    @rule(target=sessions, caller=callers, name=st.sampled_from(["a", "b"]))
    def create(self, caller: str, name: str) -> int:
        account = OWNER[caller]
        body = {"avatar_id": self.clients.looks[account], "metadata": {"name": name}}
        answer = self.clients.call(caller, "POST", "/sessions", json=body)
        assert answer.status_code == 201, answer.text
        session, usage = answer.json()["session"], answer.json()["usage"]["concurrency"]
        assert usage == {"current": MOST - self.free(account), "max": MOST, "available": self.free(account)}
        return self.add(session["session_id"], account, "hosted", "created", {"name": name})

    @rule(target=sessions, caller=callers)
    def create_own(self, caller: str) -> Any:
        account = OWNER[caller]
        answer = self.clients.call(caller, "POST", "/sessions", json={"avatar": self.clients.looks[account]})
        if not self.free(account):
            assert refusal(answer) == NO_PLACE
            return multiple()
        assert answer.status_code == 201, answer.text
        return self.add(answer.json()["session"]["session_id"], account, "own", "started", {})

    @rule(target=sessions, caller=callers)
    def create_own_at_once(self, caller: str) -> Any:
        account = OWNER[caller]
        body = {"avatar": self.clients.looks[account]}
        answers = self.clients.at_once(*[(caller, "POST", "/sessions")] * (MOST + 1), json=body)
        made = [answer.json()["session"]["session_id"] for answer in answers if answer.status_code == 201]
        assert len(made) == self.free(account)
        assert {refusal(answer) for answer in answers if answer.status_code != 201} == {NO_PLACE}
        return multiple(*[self.add(one, account, "own", "started", {}) for one in made])

    @rule(target=kept_answers, caller=callers, at_once=st.booleans())
    def create_with_key(self, caller: str, at_once: bool) -> Kept:
        self.keys += 1
        metadata = {"number": str(self.keys)}
        body = {"avatar_id": self.clients.looks[OWNER[caller]], "metadata": metadata}
        headers = {"Idempotency-Key": str(self.keys)}
        calls = [(caller, "POST", "/sessions")] * (1 + at_once)
        answers = self.clients.at_once(*calls, json=body, headers=headers)
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        session_id = answers[0].json()["session"]["session_id"]
        self.add(session_id, OWNER[caller], "hosted", "created", metadata)
        return Kept(headers["Idempotency-Key"], caller, body, unsigned(answers[0]), session_id)

    @rule(kept=kept_answers, caller=callers)
    def repeat(self, kept: Kept, caller: str) -> None:
        (first,) = [one for one in self.model if one.session_id == kept.session_id]
        if OWNER[caller] != OWNER[kept.maker] or first.status == "deleted":
            return  # the key is free: such a call makes a new session
        headers = {"Idempotency-Key": kept.name}
        answer = self.clients.call(caller, "POST", "/sessions", json=kept.body, headers=headers)
        assert (answer.status_code, unsigned(answer)) == (201, kept.answer)
        assert answer.headers["idempotency-replayed"] == "true"
        other = self.clients.call(caller, "POST", "/sessions", json={"avatar_id": "x"}, headers=headers)
        assert refusal(other) == (409, "IDEMPOTENCY_KEY_REUSED")

    # --- starts

    @rule(number=sessions, caller=callers, method=st.sampled_from(["PUT", "POST"]))
    def start(self, number: int, caller: str, method: str) -> None:
        path, one = self.seen(number, caller)
        answer = self.clients.call(caller, method, f"{path}/start")
        if one is None:
            assert refusal(answer) == NOT_FOUND
        elif one.status == "ended":
            assert refusal(answer) == ENDED
        elif one.status == "created" and not self.free(one.account):
            assert refusal(answer) == NO_PLACE
            holders = {holder["session_id"] for holder in answer.json()["error"]["details"]["holders"]}
            assert holders == {holder.session_id for holder in self.of(one.account, "started")}
        else:
            self.note_start(one, answer)

    def note_start(self, one: Modelled, answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.text
        one.status, one.ws_uri = "started", one.ws_uri or answer.json()["ws_uri"]
        assert answer.json()["ws_uri"] == one.ws_uri

    @rule(caller=callers)
    def start_all_at_once(self, caller: str) -> None:
        account = OWNER[caller]
        waiting, free = self.of(account, "created"), self.free(account)
        answers = self.clients.at_once(*[(caller, "PUT", f"/sessions/{one.session_id}/start") for one in waiting])
        losers = []
        for one, answer in zip(waiting, answers, strict=True):
            if answer.status_code == 200:
                self.note_start(one, answer)
            else:
                assert refusal(answer) == NO_PLACE
                losers.append(one)
        assert len(losers) == max(0, len(waiting) - free)
        numbers = [number for number, one in enumerate(self.model) if one in waiting]
        for number, one in zip(numbers, [one for one in waiting if one not in losers] + losers, strict=True):
            self.model[number] = one

    @rule(number=sessions)
    def start_twice_at_once(self, number: int) -> None:
        one = self.model[number]
        if one.status != "created":
            return
        path = f"/sessions/{one.session_id}/start"
        both = [caller for caller in CALLERS if OWNER[caller] == one.account] * 2
        answers = self.clients.at_once(*[(caller, "PUT", path) for caller in both])
        if self.free(one.account):
            for answer in answers:
                self.note_start(one, answer)
        else:
            assert {refusal(answer) for answer in answers} == {NO_PLACE}

    # --- ends

    @rule(number=sessions, caller=callers, method=st.sampled_from(["PUT", "POST"]))
    def end(self, number: int, caller: str, method: str) -> None:
        path, one = self.seen(number, caller)
        answer = self.clients.call(caller, method, f"{path}/end")
        if one is None:
            assert refusal(answer) == NOT_FOUND
        elif one.status == "created":
            assert refusal(answer) == NOT_STARTED
        else:
            self.note_end(one, answer, "ended_by_client")

    def note_end(self, one: Modelled, answer: httpx.Response, reason: str) -> None:
        assert answer.status_code == 200, answer.text
        if one.status == "started":
            one.status, one.reason = "ended", reason
        one.end = one.end or unsigned(answer)
        assert unsigned(answer) == one.end, "the second end answers the first"

    @rule(number=sessions)
    def end_by_operator(self, number: int) -> None:
        one = self.model[number]
        answer = self.clients.call(OPERATOR, "POST", f"/admin/sessions/{one.session_id}/end")
        if one.status == "deleted":
            assert refusal(answer) == NOT_FOUND
        elif one.status == "created":
            assert refusal(answer) == NOT_STARTED
        else:
            assert answer.status_code == 200, answer.text
            if one.status == "started":
                one.status, one.reason = "ended", "ended_by_operator"
            shown = answer.json()["session"]
            assert (shown["status"], shown["reason"]) == ("ended", one.reason)

    @rule(number=sessions)
    def lose_performer(self, number: int) -> None:
        one = self.model[number]
        if one.status != "started":
            return
        self.clients.lose_performer(one.session_id)
        path = f"/admin/sessions/{one.session_id}"
        for _ in range(LOST_WITHIN):  # each look is a call of its own, which lets the server go on
            shown = self.clients.call(OPERATOR, "GET", path).json()["session"]
            if shown["status"] == "ended":
                break
        one.status, one.reason = shown["status"], shown["reason"]
        assert (one.status, one.reason) == ("ended", "performer_lost")

    @rule(number=sessions, caller=callers)
    def delete(self, number: int, caller: str) -> None:
        path, one = self.seen(number, caller)
        answer = self.clients.call(caller, "DELETE", path)
        if one is None:
            assert refusal(answer) == NOT_FOUND
        elif one.status == "started":
            assert refusal(answer) == NOT_ENDED
        else:
            assert answer.status_code == 200, answer.text
            one.status = "deleted"

    @rule(number=sessions)
    def end_and_delete_at_once(self, number: int) -> None:
        one = self.model[number]
        caller = next(caller for caller in CALLERS if OWNER[caller] == one.account)
        if one.status != "started":
            return
        path = f"/sessions/{one.session_id}"
        end = (caller, "PUT", f"{path}/end")
        first, second, deleted = self.clients.at_once(end, end, (caller, "DELETE", path))
        ended = [answer for answer in (first, second) if answer.status_code == 200]
        assert {refusal(answer) for answer in (first, second) if answer not in ended} <= {NOT_FOUND}
        assert len({answer.content for answer in ended}) == 1
        if deleted.status_code != 200:  # it came before the ends
            assert len(ended) == 2 and refusal(deleted) == NOT_ENDED
            assert self.clients.call(caller, "DELETE", path).status_code == 200
        one.status = "deleted"

    @rule(number=sessions)
    def start_and_delete_at_once(self, number: int) -> None:
        one = self.model[number]
        caller = next(caller for caller in CALLERS if OWNER[caller] == one.account)
        if one.status != "created":
            return
        path = f"/sessions/{one.session_id}"
        started, deleted = self.clients.at_once((caller, "PUT", f"{path}/start"), (caller, "DELETE", path))
        if deleted.status_code == 200:
            assert refusal(started) in (NOT_FOUND, NO_PLACE)
        else:
            assert refusal(deleted) == NOT_ENDED, "it was being started"
            if self.free(one.account):
                self.note_start(one, started)
                assert self.clients.call(caller, "PUT", f"{path}/end").status_code == 200
            else:
                assert refusal(started) == NO_PLACE
            assert self.clients.call(caller, "DELETE", path).status_code == 200
        one.status = "deleted"

    # --- what is shown

    @rule(number=sessions, caller=callers)
    def get(self, number: int, caller: str) -> None:
        path, one = self.seen(number, caller)
        answer = self.clients.call(caller, "GET", path)
        if one is None:
            assert refusal(answer) == NOT_FOUND
            return
        shown = answer.json()["session"]
        assert (shown["status"], shown["metadata"]) == (one.status, one.metadata)
        assert (shown["started_at"] is None) == (one.status == "created")
        assert (shown["ended_at"] is None) == (one.status != "ended")
        assert ("billing" in shown) == (one.dialect == "own" and one.status == "ended")

    @rule(number=sessions, caller=callers)
    def mint_and_use_a_token(self, number: int, caller: str) -> None:
        path, one = self.seen(number, caller)
        answer = self.clients.call(caller, "POST", f"{path}/tokens", json={"purpose": "control"})
        if one is None or one.status == "ended":
            assert refusal(answer) == (NOT_FOUND if one is None else ENDED)
            return
        assert answer.status_code == 201, answer.text
        ended = self.clients.call_with_token(answer.json()["token"]["token"], "PUT", f"{path}/end")
        if one.status == "created":
            assert refusal(ended) == NOT_STARTED
        else:
            self.note_end(one, ended, "ended_by_client")

    @rule(caller=callers)
    def get_usage(self, caller: str) -> None:
        usage = self.clients.call(caller, "GET", "/usage").json()["usage"]
        assert usage["concurrency"]["current"] == MOST - self.free(OWNER[caller])

    @rule(caller=callers, status=st.sampled_from(["all", *STATUSES]), limit=st.integers(1, 3), name=st.booleans())
    def list_in_pages(self, caller: str, status: str, limit: int, name: bool) -> None:
        expected = self.of(OWNER[caller], *(STATUSES if status == "all" else (status,)))
        query = {"status": status, "limit": str(limit)} | ({"metadata.name": "a"} if name else {})
        seen: list[str] = []
        cursor: dict[str, str] | None = {}
        while cursor is not None:
            page = self.clients.call(caller, "GET", "/sessions", params=query | cursor).json()
            assert len(page["sessions"]) <= limit
            seen += [one["session_id"] for one in page["sessions"]]
            cursor = None if page["next_cursor"] is None else {"cursor": page["next_cursor"]}
        assert sorted(seen) == sorted(one.session_id for one in expected if not name or one.metadata.get("name") == "a")

    @invariant()
    def lists_are_those_of_the_model(self) -> None:
        for caller in (CALLERS[0], CALLERS[2]) if self.clients.looks else ():
            listed = self.clients.call(caller, "GET", "/sessions").json()["sessions"]
            own = self.of(OWNER[caller], *STATUSES)
            assert {one["session_id"]: one["status"] for one in listed} == {one.session_id: one.status for one in own}

    def teardown(self) -> None:
        """End what runs: the next example has accounts of its own, but the same fleet."""
        for one in self.model:
            if one.status == "started":
                self.clients.call(OPERATOR, "POST", f"/admin/sessions/{one.session_id}/end")
