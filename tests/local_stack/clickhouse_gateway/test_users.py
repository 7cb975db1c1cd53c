"""The users file."""

import hashlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from local_stack.clickhouse_gateway.errors import ClickHouseError
from local_stack.clickhouse_gateway.users import Users, UsersFileInvalid

MINIMAL = "<clickhouse><profiles><default/>{profiles}</profiles><users>{users}</users></clickhouse>"


def read(directory: Path, users: str = "", profiles: str = "") -> Users:
    path = directory / "users.xml"
    path.write_text(MINIMAL.format(users=users, profiles=profiles))
    return Users.read(path)


@pytest.mark.parametrize(
    "secret",
    [
        "<password>pässword</password>",
        f"<password_sha256_hex>{hashlib.sha256('pässword'.encode()).hexdigest().upper()}</password_sha256_hex>",
        "<password_double_sha1_hex>"
        + hashlib.sha1(hashlib.sha1("pässword".encode()).digest()).hexdigest()
        + "</password_double_sha1_hex>",
    ],
)
def test_user_logs_in_by_password(tmp_path: Path, secret: str) -> None:
    users = read(tmp_path, f"<alice>{secret}</alice>")

    assert users.authenticate("alice", "pässword", "127.0.0.1").name == "alice"
    with pytest.raises(ClickHouseError, match="alice: Authentication failed"):
        users.authenticate("alice", "password", "127.0.0.1")


def test_unknown_user_reads_like_a_wrong_password(tmp_path: Path) -> None:
    users = read(tmp_path, "<alice><password>x</password></alice>")

    with pytest.raises(ClickHouseError, match="there is no user with such name") as refused:
        users.authenticate("bob", "x", None)

    assert refused.value.code == 516


def test_user_logs_in_from_the_named_networks_only(tmp_path: Path) -> None:
    users = read(
        tmp_path,
        "<alice><password/><networks><ip>10.0.0.0/8</ip><ip>::1</ip></networks></alice>",
    )

    assert users.authenticate("alice", "", "10.2.3.4")
    assert users.authenticate("alice", "", "::1")
    with pytest.raises(ClickHouseError):
        users.authenticate("alice", "", "127.0.0.1")


@pytest.mark.parametrize(
    ("users", "profiles", "message"),
    [
        ("<a><password/><color/></a>", "", "user a: unknown element color"),
        ("<a/>", "", "exactly one of password"),
        ("<a><password/><password_sha256_hex/></a>", "", "exactly one of password"),
        ("<a><password/><profile>p</profile></a>", "", "there is no profile p"),
        ("<a><password/><networks><ip>somewhere</ip></networks></a>", "", "user a: 'somewhere'"),
        ("<a-b><password/></a-b>", "", "letters, digits and underscores"),
        ("", "<p><profile>default</profile></p>", "profiles inside of profiles"),
        ("", "<p><constraints><x><most>1</most></x></constraints></p>", "unknown constraint most"),
        ("<a>", "", "mismatched tag"),
    ],
)
def test_unknown_content_is_refused(tmp_path: Path, users: str, profiles: str, message: str) -> None:
    with pytest.raises(UsersFileInvalid, match=message):
        read(tmp_path, users, profiles)


def test_file_without_a_default_profile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.xml"
    path.write_text("<clickhouse/>")

    with pytest.raises(UsersFileInvalid, match="no <default>"):
        Users.read(path)


def test_quota_is_refused_when_it_has_an_interval(tmp_path: Path) -> None:
    path = tmp_path / "users.xml"
    path.write_text("<clickhouse><profiles><default/></profiles><quotas><q><interval/></q></quotas></clickhouse>")

    with pytest.raises(UsersFileInvalid, match="quotas with intervals"):
        Users.read(path)


def test_engine_users_give_each_user_a_role_and_a_profile(tmp_path: Path) -> None:
    users = read(
        tmp_path,
        "<root><password/></root><bi><password/><profile>reader</profile></bi>",
        "<reader><readonly>2</readonly><max_threads>1</max_threads>"
        "<constraints><max_threads><max>2</max></max_threads></constraints></reader>",
    )

    engine_users = ElementTree.fromstring(users.engine_users())

    assert engine_users.findtext("roles/gateway_root/grants/query") == "GRANT ALL ON *.*"
    assert engine_users.findtext("roles/gateway_bi/grants/query") == "GRANT SELECT, SHOW, dictGet ON *.*"
    assert engine_users.findtext("profiles/gateway_bi/readonly") == "2"
    assert engine_users.findtext("profiles/gateway_bi/constraints/max_threads/max") == "2"
    assert engine_users.find("profiles/gateway_bi/constraints/dialect/const") is not None
    assert engine_users.find("profiles/gateway_root/constraints/dialect") is None
    assert engine_users.findtext("users/default/grants/query") == "GRANT `gateway_root`, `gateway_bi`"
