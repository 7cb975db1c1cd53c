"""curl, as in ClickHouse's documentation."""

import gzip
import shutil
import subprocess
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
import zstandard

CURL = shutil.which("curl") or "curl"


def curl(server: Any, *arguments: str, body: bytes | None = None, path: str = "/") -> bytes:
    # Connections of other processes to this host must not be inherited from a proxy of the machine.
    data = ["--data-binary", "@-"] if body is not None else []
    command = [CURL, "--silent", "--show-error", "--noproxy", "*", *data, *arguments]
    return subprocess.run(
        [*command, f"http://127.0.0.1:{server.port}{path}"], input=body, capture_output=True, check=True, timeout=60
    ).stdout


def test_ping(server: Any) -> None:
    assert curl(server, path="/ping") == b"Ok.\n"


def test_query_in_the_url_and_in_the_body(server: Any) -> None:
    login = ("--user", "default:secret")

    assert curl(server, *login, path="/?query=SELECT%201") == b"1\n"
    assert curl(server, *login, body=b"SELECT 1") == b"1\n"
    assert curl(server, *login, body=b"1", path="/?query=SELECT") == b"1\n"
    assert (
        curl(
            server,
            "--header",
            "X-ClickHouse-User: default",
            "--header",
            "X-ClickHouse-Key: secret",
            body=b"SELECT 1, 'x' FORMAT JSONCompactEachRow",
        )
        == b'[1, "x"]\n'
    )


@pytest.mark.parametrize(
    ("encoding", "pack", "unpack"),
    [
        ("gzip", gzip.compress, gzip.decompress),
        ("zstd", zstandard.compress, lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
        ("lz4", lz4.frame.compress, lz4.frame.decompress),
    ],
)
def test_compression_in_both_directions(server: Any, table: str, encoding: str, pack: Any, unpack: Any) -> None:
    login = ("--user", "default:secret")

    curl(
        server,
        *login,
        "--header",
        f"Content-Encoding: {encoding}",
        body=pack(b"1,one\n2,two\n"),
        path=f"/?query=INSERT+INTO+{table}+FORMAT+CSV",
    )
    answer = curl(
        server,
        *login,
        "--header",
        f"Accept-Encoding: {encoding}",
        body=f"SELECT * FROM {table} ORDER BY a".encode(),
        path="/?enable_http_compression=1",
    )

    assert unpack(answer) == b"1\tone\n2\ttwo\n"


def test_failure_is_a_status_and_a_text(server: Any, tmp_path: Path) -> None:
    status = ("--output", str(tmp_path / "body"), "--write-out", "%{http_code} %header{x-clickhouse-exception-code}")

    refused = curl(server, "--user", "default:wrong", *status, body=b"SELECT 1")
    text = (tmp_path / "body").read_text()

    assert refused == b"403 516"
    assert text.startswith("Code: 516. DB::Exception: default: Authentication failed")


def test_transfer_fails_when_the_query_does(server: Any) -> None:
    sql = b"SELECT throwIf(number = 3000000, 'too far') FROM numbers(4000000)"

    with pytest.raises(subprocess.CalledProcessError) as failed:
        curl(server, "--user", "default:secret", body=sql)

    assert failed.value.returncode == 18
    assert b"too far" in failed.value.stdout[-500:]


def test_file_is_uploaded_in_chunks(server: Any, table: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("".join(f"{number},text\n" for number in range(100_000)))

    curl(
        server,
        "--user",
        "default:secret",
        "--header",
        "Transfer-Encoding: chunked",
        "--data-binary",
        f"@{rows}",
        path=f"/?query=INSERT+INTO+{table}+FORMAT+CSV",
    )

    assert server.run(f"SELECT count() FROM {table}") == "100000\n"
