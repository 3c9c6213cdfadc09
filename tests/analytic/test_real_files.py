"""Files of real data: where they are looked for, and that they are downloaded only if one asks for it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pooch
import published
import pytest

from dcdbench.datasets.brain import FILE as VOLUME
from dcdbench.datasets.brain import Brain
from dcdbench.datasets.cifar10 import Cifar10
from dcdbench.datasets.mnist import Mnist
from dcdbench.datasets.real_file import RealFile, lacking
from dcdbench.streams import Stream

CONTENT = b"what was published"
NAME = "set/file.gz"


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, an empty folder of data, and no permission to download."""
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("DCDBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("DCDBENCH_DOWNLOAD", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path


class Web:
    """A server of one file on this machine, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        asked: list[str] = []

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                asked.append(self.path)

        (folder / "file.gz").write_bytes(CONTENT)
        self.asked, self.folder = asked, folder
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        url = f"http://127.0.0.1:{self.server.server_port}/file.gz"
        self.file = RealFile(NAME, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), url)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    (tmp_path / "web").mkdir()
    made = Web(tmp_path / "web")
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("asked", [None, "0", "", "yes"])
def test_nothing_is_downloaded_unasked(asked: str | None, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    if asked is not None:
        monkeypatch.setenv("DCDBENCH_DOWNLOAD", asked)
    reason = web.file.missing()
    assert reason is not None and reason.startswith(
        f"needs {NAME} (18 bytes) in the folder DCDBENCH_DATA, or "
    )
    assert "DCDBENCH_DOWNLOAD=1" in reason and reason.endswith(
        f"from {str(web.file.url).removesuffix('/file.gz')}"
    )
    assert ("which is 'yes'" in reason) is (asked == "yes")
    with pytest.raises(FileNotFoundError, match=r"needs .*DCDBENCH_DATA is '.*data'"):
        web.file.path()
    assert not web.asked


def test_what_is_asked_for_is_downloaded_once(
    web: Web, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCDBENCH_DOWNLOAD", "1")
    assert web.file.missing() is None and not web.asked
    assert web.file.path() == places / "cache" / "dcdbench" / NAME
    assert web.file.path().read_bytes() == CONTENT and web.asked == ["/file.gz"]
    monkeypatch.delenv("DCDBENCH_DOWNLOAD")  # it stays
    assert web.file.missing() is None and web.file.path().read_bytes() == CONTENT


def test_the_folder_comes_before_the_cache(web: Web, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = put(places / "cache" / "dcdbench" / NAME)
    assert web.file.path() == cached
    mine = put(places / "data" / NAME)
    assert web.file.path() == mine
    monkeypatch.setenv("DCDBENCH_DOWNLOAD", "1")
    assert web.file.path() == mine and not web.asked
    put(mine, b"another")
    with pytest.raises(
        ValueError, match=rf"{NAME} is another file .* must begin with {web.file.sha256[:12]}"
    ):
        web.file.path()


def test_a_download_of_other_content_is_refused(
    web: Web, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCDBENCH_DOWNLOAD", "1")
    put(web.folder / "file.gz", b"what was publ1shed")
    with pytest.raises(
        FileNotFoundError, match=rf"{NAME} \(18 bytes\) cannot be downloaded from http.*{web.file.sha256}"
    ):
        web.file.path()
    assert not [path for path in (places / "cache").rglob("*") if path.is_file()]


def test_a_failed_download_says_what_to_do(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCDBENCH_DOWNLOAD", "1")
    (web.folder / "file.gz").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"cannot be downloaded from http.*404.*put it into the folder DCDBENCH_DATA"
    ):
        web.file.path()


def test_what_cannot_be_downloaded_is_not_looked_for_in_the_cache(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCDBENCH_DOWNLOAD", "1")
    put(places / "cache" / "dcdbench" / VOLUME.name)
    assert VOLUME.missing() == f"needs {VOLUME.name} (183505 bytes) in the folder DCDBENCH_DATA"


@pytest.mark.parametrize("make", [Brain, *published.SOURCES])
def test_data_that_are_missing_say_so(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the name and the size of each file, and where to put it."""
    source = make()
    files = getattr(make, "files", (VOLUME,))
    for _ in range(2):
        reason = source.missing()
        assert (
            all(f"{file.name} ({file.size} bytes)" in reason for file in files) and "DCDBENCH_DATA" in reason
        )
        with pytest.raises(FileNotFoundError, match=r"needs .*DCDBENCH_DATA is"):
            source.load(40, 30, Stream(0))
        assert source.shape()  # is known without them
        monkeypatch.delenv("DCDBENCH_DATA", raising=False)
        assert "the folder DCDBENCH_DATA, which is not set" in str(lacking(files))


def test_only_the_files_that_are_missing_are_named(places: Path) -> None:
    put(places / "data" / Mnist.files[0].name)
    assert str(Mnist().missing()).startswith(
        "needs mnist/train-labels-idx1-ubyte.gz (28881 bytes), mnist/t10k"
    )


def test_published_files_are_known() -> None:
    """Digests of 64 digits, all different, and places on the web that end like the names."""
    files = [file for source in published.SOURCES for file in source.files]
    assert len({file.sha256 for file in files}) == len(files) == 9
    for file in files:
        assert len(bytes.fromhex(file.sha256)) == 32 and file.size > 1000
        assert str(file.url).rpartition("/")[2] == file.name.rpartition("/")[2]
    assert Cifar10.files[0].size == 170_498_071
