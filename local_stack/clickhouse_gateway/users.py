"""Who may log in and under which limits: the subset of ClickHouse's users.xml that the gateway reads."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from local_stack.clickhouse_gateway.errors import ClickHouseError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONSTRAINTS = frozenset({"min", "max", "const", "readonly"})
_HASHES = {"password_sha256_hex": "sha256", "password_double_sha1_hex": "sha1"}
_USER_ELEMENTS = frozenset(
    {"password", *_HASHES, "profile", "networks", "grants", "default_database", "quota", "access_management"}
)

_QUERIES_FOR_USER = "max_concurrent_queries_for_user"

# A reader has SELECT, but these settings carry file names, addresses or SQL that grants do not cover.
_SETTINGS_CLOSED_TO_READERS = (
    "additional_result_filter",
    "additional_table_filters",
    "allow_experimental_eval_table_function",
    "dialect",
    "filter",
    "format_avro_schema_registry_url",
    "format_schema",
    "format_schema_source",
    "format_template_resultset",
    "format_template_row",
    "input_format_record_errors_file_path",
    "input_format_values_interpret_expressions",
    "output_format_schema",
    "parallel_replicas_custom_key",
)


class UsersFileInvalid(ValueError):
    """The users file has something that the gateway does not know; the text says what and where."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Settings every query of a user starts with, and how far the user may change them."""

    name: str
    settings: Mapping[str, str]
    constraints: Mapping[str, Mapping[str, str]]

    @property
    def readonly(self) -> int:
        """0 = may write, 1 = may neither write nor change settings, 2 = may not write."""
        return int(self.settings.get("readonly", "0"))

    @property
    def max_concurrent_queries(self) -> int:
        """How many queries one user may run at once; 0 = any number."""
        return int(self.settings.get(_QUERIES_FOR_USER, "0"))

    @property
    def engine_settings(self) -> dict[str, str]:
        """What the engine is told. Not readonly, which comes last, nor the count that only the gateway can keep."""
        return {name: value for name, value in self.settings.items() if name not in ("readonly", _QUERIES_FOR_USER)}


@dataclass(frozen=True, slots=True)
class User:
    """A user of the gateway. The engine knows it as a role and a profile of the same name, see `engine_users`."""

    name: str
    profile: Profile
    password: str
    hashing: str
    networks: tuple[str, ...]
    grants: tuple[str, ...]
    default_database: str

    @property
    def restricted(self) -> bool:
        """Whether the user is less than an administrator: read-only, or with a list of grants."""
        return bool(self.grants) or self.profile.readonly > 0

    @property
    def engine_settings(self) -> dict[str, str]:
        """The settings of the user's connections."""
        safe = {"input_format_values_interpret_expressions": "0"} if self.restricted else {}
        return {**safe, **self.profile.engine_settings}

    @property
    def engine_name(self) -> str:
        """Name of the user's role and profile in the engine."""
        return f"gateway_{self.name}"

    @property
    def engine_grants(self) -> tuple[str, ...]:
        """The GRANT statements of the user's role."""
        if self.grants:
            return self.grants
        if self.profile.readonly:
            return ("GRANT SELECT, SHOW, dictGet ON *.*",)
        return ("GRANT ALL ON *.*",)

    def accepts(self, password: str, address: str | None) -> bool:
        """Whether the password and the client's address (None = unknown, a Unix socket) fit."""
        given = password.encode()
        if self.hashing == "sha1":
            given_text = hashlib.sha1(hashlib.sha1(given).digest()).hexdigest()  # noqa: S324 - MySQL's double SHA-1
        elif self.hashing == "sha256":
            given_text = hashlib.sha256(given).hexdigest()
        else:
            given_text = password
        if not hmac.compare_digest(given_text.encode(), self.password.encode()):
            return False
        if not self.networks or address is None:
            return True
        client = ipaddress.ip_address(address)
        return any(client in ipaddress.ip_network(network, strict=False) for network in self.networks)


@dataclass(frozen=True, slots=True)
class Users:
    """All users and profiles of a users file."""

    users: Mapping[str, User]
    profiles: Mapping[str, Profile]

    @classmethod
    def read(cls, path: Path) -> "Users":
        """Read a users file. Raises UsersFileInvalid (unknown content) or OSError (no such file)."""
        try:
            root = ElementTree.fromstring(path.read_text())  # noqa: S314 - a file of the operator
        except ElementTree.ParseError as error:
            raise UsersFileInvalid(f"{path}: {error}") from error
        profiles = {element.tag: _profile(element) for element in _section(root, "profiles")}
        if "default" not in profiles:
            raise UsersFileInvalid(f"{path}: <profiles> has no <default>")
        users = {element.tag: _user(element, profiles) for element in _section(root, "users")}
        for quota in _section(root, "quotas"):
            if len(quota):
                raise UsersFileInvalid(f"{path}: <quotas>: quotas with intervals are not supported")
        return cls(users, profiles)

    def authenticate(self, name: str, password: str, address: str | None) -> User:
        """Return the user. Raises ClickHouseError 516 alike for an unknown name and a wrong password."""
        user = self.users.get(name)
        if user is None or not user.accepts(password, address):
            raise ClickHouseError(
                516, f"{name}: Authentication failed: password is incorrect, or there is no user with such name."
            )
        return user

    def engine_users(self) -> str:
        """The engine's own users.xml.

        An embedded engine runs every connection as `default`, so each user of the gateway becomes a role (its grants)
        and a profile (its constraints) there. `default` itself has no right except to take these roles.
        """
        root = ElementTree.Element("clickhouse")
        profiles, roles = ElementTree.SubElement(root, "profiles"), ElementTree.SubElement(root, "roles")
        # An explicit 0 makes the engine refuse a change back to this profile from a read-only one.
        ElementTree.SubElement(ElementTree.SubElement(profiles, "default"), "readonly").text = "0"
        for user in self.users.values():
            profile = ElementTree.SubElement(profiles, user.engine_name)
            for name, value in {**user.engine_settings, **_readonly(user.profile)}.items():
                ElementTree.SubElement(profile, name).text = value
            constraints = ElementTree.SubElement(profile, "constraints")
            closed = {name: {"const": ""} for name in _SETTINGS_CLOSED_TO_READERS} if user.restricted else {}
            for name, bounds in {**closed, **user.profile.constraints}.items():
                constraint = ElementTree.SubElement(constraints, name)
                for kind, bound in bounds.items():
                    ElementTree.SubElement(constraint, kind).text = bound
            grants = ElementTree.SubElement(ElementTree.SubElement(roles, user.engine_name), "grants")
            for grant in user.engine_grants:
                ElementTree.SubElement(grants, "query").text = grant
        default = ElementTree.SubElement(ElementTree.SubElement(root, "users"), "default")
        ElementTree.SubElement(default, "password")
        ElementTree.SubElement(default, "profile").text = "default"
        ElementTree.SubElement(ElementTree.SubElement(default, "networks"), "ip").text = "::/0"
        all_roles = ", ".join(f"`{user.engine_name}`" for user in self.users.values())
        ElementTree.SubElement(ElementTree.SubElement(default, "grants"), "query").text = f"GRANT {all_roles}"
        # All queries run as one engine user, who could otherwise read and KILL those of everybody.
        system = ElementTree.SubElement(ElementTree.SubElement(default, "databases"), "system")
        for table in ("processes", "query_log"):
            ElementTree.SubElement(ElementTree.SubElement(system, table), "filter").text = self._administrator_filter()
        ElementTree.SubElement(ElementTree.SubElement(root, "quotas"), "default")
        return ElementTree.tostring(root, encoding="unicode")

    def _administrator_filter(self) -> str:
        names = ", ".join(f"'{user.engine_name}'" for user in self.users.values() if not user.restricted)
        return f"hasAny(currentRoles(), [{names}]::Array(String))"


def _section(root: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    for element in root.findall(f"{name}/*"):
        if not _NAME.fullmatch(element.tag):
            raise UsersFileInvalid(f"<{name}>: the name {element.tag} is not made of letters, digits and underscores")
        yield element


def _readonly(profile: Profile) -> dict[str, str]:
    return {"readonly": str(profile.readonly)}


def _text(element: ElementTree.Element) -> str:
    return (element.text or "").strip()


def _profile(element: ElementTree.Element) -> Profile:
    settings: dict[str, str] = {}
    constraints: dict[str, Mapping[str, str]] = {}
    for child in element:
        if child.tag == "constraints":
            for constraint in child:
                bounds = {bound.tag: _text(bound) for bound in constraint}
                if unknown := bounds.keys() - _CONSTRAINTS:
                    raise UsersFileInvalid(f"profile {element.tag}: unknown constraint {sorted(unknown)[0]}")
                constraints[constraint.tag] = bounds
        elif child.tag == "profile":
            raise UsersFileInvalid(f"profile {element.tag}: profiles inside of profiles are not supported")
        else:
            settings[child.tag] = _text(child)
    return Profile(element.tag, settings, constraints)


def _user(element: ElementTree.Element, profiles: Mapping[str, Profile]) -> User:
    known = {child.tag: child for child in element}
    if unknown := known.keys() - _USER_ELEMENTS:
        raise UsersFileInvalid(f"user {element.tag}: unknown element {sorted(unknown)[0]}")
    secrets = [tag for tag in ("password", *_HASHES) if tag in known]
    if len(secrets) != 1:
        raise UsersFileInvalid(f"user {element.tag}: exactly one of password, {', '.join(_HASHES)} is needed")
    profile = _text(known["profile"]) if "profile" in known else "default"
    if profile not in profiles:
        raise UsersFileInvalid(f"user {element.tag}: there is no profile {profile}")
    networks = tuple(_text(ip) for ip in element.findall("networks/ip"))
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise UsersFileInvalid(f"user {element.tag}: {error}") from error
    secret = _text(known[secrets[0]])
    return User(
        name=element.tag,
        profile=profiles[profile],
        password=secret.lower() if secrets[0] in _HASHES else secret,
        hashing=_HASHES.get(secrets[0], ""),
        networks=networks,
        grants=tuple(_text(query) for query in element.findall("grants/query")),
        default_database=_text(known["default_database"]) if "default_database" in known else "default",
    )
