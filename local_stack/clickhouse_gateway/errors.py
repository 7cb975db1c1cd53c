"""ClickHouse errors: the codes the gateway raises itself, the text clients parse, and the HTTP status of each code."""

import re
from http import HTTPStatus

_NAMES = {
    33: "CANNOT_READ_ALL_DATA",
    36: "BAD_ARGUMENTS",
    48: "NOT_IMPLEMENTED",
    62: "SYNTAX_ERROR",
    73: "UNKNOWN_FORMAT",
    78: "UNKNOWN_TYPE_OF_QUERY",
    81: "UNKNOWN_DATABASE",
    89: "UNKNOWN_COMPRESSION_METHOD",
    159: "TIMEOUT_EXCEEDED",
    164: "READONLY",
    180: "THERE_IS_NO_PROFILE",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    229: "QUERY_IS_TOO_LARGE",
    236: "ABORTED",
    271: "CANNOT_DECOMPRESS",
    358: "INTO_OUTFILE_NOT_ALLOWED",
    372: "SESSION_NOT_FOUND",
    373: "SESSION_IS_LOCKED",
    374: "INVALID_SESSION_TIMEOUT",
    497: "ACCESS_DENIED",
    511: "UNKNOWN_ROLE",
    516: "AUTHENTICATION_FAILED",
}

# The table of exceptionCodeToHTTPStatus in ClickHouse's source; every other code is 500 there too.
_STATUS: dict[int, HTTPStatus] = {
    194: HTTPStatus.UNAUTHORIZED,
    **dict.fromkeys((192, 193, 497, 512, 516), HTTPStatus.FORBIDDEN),
    **dict.fromkeys(
        (6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676),
        HTTPStatus.BAD_REQUEST,
    ),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511), HTTPStatus.NOT_FOUND),
    159: HTTPStatus.REQUEST_TIMEOUT,
    381: HTTPStatus.LENGTH_REQUIRED,
    229: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    779: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    48: HTTPStatus.NOT_IMPLEMENTED,
    **dict.fromkeys((76, 209, 439), HTTPStatus.SERVICE_UNAVAILABLE),
}

_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
_WRAPPER = re.compile(r"\ACode: (\d+)\. DB::Exception: (?=Code: \1\. DB::Exception: )")
_WRAPPED_END = re.compile(r" \(version [^()]*\)\. \([A-Z0-9_]+\)\Z")
_POSITION = re.compile(r"(failed at position |\(line 1, col )(\d+)")
_USER = re.compile(r"DB::Exception: default: (?=Not enough privileges|Cannot execute query in readonly)")
# Inserts read their rows from an anonymous file of the gateway; its name says nothing to a client.
_INFILE_TRACES = re.compile(r"\(in file/uri /proc/self/fd/\d+\): |: While executing File(?=: data for INSERT)")


class ClickHouseError(Exception):
    """An error as the server reports it: a numeric code and its text, without the trailing version."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self._text = f"Code: {code}. DB::Exception: {message} ({_NAMES[code]})" if code in _NAMES else message

    @classmethod
    def of_engine(cls, text: str, user: str = "default") -> "ClickHouseError":
        """Read the text that the engine raised, who knows every user as `default`.

        A text without a code becomes code 1001, which is what ClickHouse calls a standard exception.
        """
        text = text.strip()
        while _WRAPPER.match(text):
            text = _WRAPPED_END.sub("", _WRAPPER.sub("", text, count=1), count=1)
        text = _INFILE_TRACES.sub("", text).replace("data for INSERT was parsed from file", "data for INSERT")
        text = _USER.sub(f"DB::Exception: {user}: ", text, count=1)
        match = _CODE.search(text)
        error = cls(int(match[1]) if match else 1001, text)
        error._text = text[match.start() :] if match else f"Code: 1001. DB::Exception: {text} (STD_EXCEPTION)"
        return error

    def shifted(self, characters: int) -> "ClickHouseError":
        """The same error for a text that begins so many characters later in its first line."""

        def earlier(match: re.Match[str]) -> str:
            return f"{match[1]}{int(match[2]) - characters}"

        self._text = _POSITION.sub(earlier, self._text, count=2)
        return self

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status that a ClickHouse server answers with."""
        return _STATUS.get(self.code, HTTPStatus.INTERNAL_SERVER_ERROR)

    def text(self, version: str) -> str:
        """The text of the answer: `Code: N. DB::Exception: ... (NAME) (version ...)`."""
        return f"{self._text} (version {version} (embedded build))"
