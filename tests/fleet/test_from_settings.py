"""What stages and their fleet get of the settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from visavis.fleet.admission import Limits
from visavis.fleet.ice_servers import session_ice_servers, shared_ice_servers
from visavis.settings import IceServer, Settings


def test_the_limits_are_those_of_the_operator(tmp_path: Path) -> None:
    chosen = Settings(
        data_dir=tmp_path, admission="counted", admission_share=0.5, cores=3, sessions_per_stage=4, max_sessions=9
    )
    assert Limits.of(chosen) == Limits(measured=False, share=0.5, cores=3, sessions_per_stage=4, sessions=9)


def test_a_turn_server_with_a_secret_gets_other_credentials_for_each_session(tmp_path: Path) -> None:
    sharing = IceServer(url="turn:one.example", secret=SecretStr("a secret"))
    open_to_all = IceServer(url="turn:two.example", username="ann", credential=SecretStr("word"))
    settings = Settings(data_dir=tmp_path, ice_servers=(sharing, open_to_all))
    (shared,) = shared_ice_servers(settings)
    assert (shared.url, shared.username, shared.credential) == ("turn:two.example", "ann", "word")
    (first,), (second,) = (session_ice_servers(settings, session) for session in ("sess_1", "sess_2"))
    assert first.url == second.url == "turn:one.example"
    assert first.username is not None and first.username.endswith(":sess_1")
    assert first.credential not in (None, "a secret", second.credential)
