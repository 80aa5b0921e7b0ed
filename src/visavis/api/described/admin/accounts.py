"""The description of /v1/admin/accounts and /v1/admin/plans."""

from __future__ import annotations

from pydantic import Field

from visavis.api.admin import schemas
from visavis.api.described import refusals
from visavis.api.described.admin import examples
from visavis.api.described.admin.parts import BODY, LIMIT, cursor
from visavis.api.described.parts import Described, answer, json_body, parameters
from visavis.api.described.requests import Given
from visavis.errors import AccountNotFound, InvalidCursor, InvalidRequest, PlanNotFound, TooLarge

MAX_COUNT = 2**31 - 1


class AssignPlan(Given):
    plan: str = Field(pattern=schemas.PLAN_KEY)


class Credit(Given):
    minutes: int = Field(ge=1, le=MAX_COUNT)


class SetPlan(Given):
    """What is left out stays; in a new plan it is unlimited. Null: unlimited."""

    name: str | None = Field(default=None, min_length=1, max_length=100)
    max_concurrency: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    included_minutes: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    max_session_minutes: int | None = Field(default=None, ge=1, le=MAX_COUNT)
    waives_unwatched: bool | None = None


LIST: Described = {
    "summary": "List the accounts",
    "description": "Newest first.",
    "openapi_extra": parameters(LIMIT, cursor(schemas.ACCOUNT_ID, examples.ACCOUNT)),
    "response_model": schemas.AdminAccountPage,
    "responses": answer(200, {"A page": examples.ACCOUNTS}) | refusals.v1(InvalidRequest, InvalidCursor),
}

GET: Described = {
    "summary": "Get an account with its usage",
    "response_model": schemas.OneAdminAccount,
    "responses": answer(200, {"An account": examples.ACCOUNT_ANSWER}) | refusals.v1(AccountNotFound),
}

CHANGE: Described = {
    "summary": "Put an account on a plan",
    "openapi_extra": json_body(AssignPlan, {"A plan": {"plan": "starter"}}),
    "response_model": schemas.OneAdminAccount,
    "responses": answer(200, {"Changed": examples.ACCOUNT_ANSWER})
    | refusals.v1(AccountNotFound, PlanNotFound, InvalidRequest, TooLarge, *BODY),
}

PURCHASES: Described = {
    "summary": "List the purchased minutes of an account",
    "response_model": schemas.ManyPurchases,
    "responses": answer(200, {"Purchases": examples.PURCHASES}) | refusals.v1(AccountNotFound),
}

CREDIT: Described = {
    "summary": "Add purchased minutes to an account",
    "description": "They are used when the plan's own are; the oldest first.",
    "openapi_extra": json_body(Credit, {"Minutes": {"minutes": 500}}),
    "response_model": schemas.OnePurchase,
    "responses": answer(201, {"Added": examples.PURCHASE}) | refusals.v1_post(AccountNotFound, *BODY),
}

PLANS: Described = {
    "summary": "List the plans",
    "response_model": schemas.ManyAdminPlans,
    "responses": answer(200, {"Plans": examples.PLANS}) | refusals.v1(),
}

SET_PLAN: Described = {
    "summary": "Change a plan, or make one",
    "description": "It holds at once for all accounts that are on it; sessions that run keep the length that they "
    "started with.",
    "openapi_extra": json_body(
        SetPlan, {"Limits": {"max_concurrency": 2, "included_minutes": 300}, "Unlimited": {"max_concurrency": None}}
    ),
    "response_model": schemas.OneAdminPlan,
    "responses": answer(200, {"Changed": examples.PLAN}) | refusals.v1(InvalidRequest, TooLarge, *BODY),
}
