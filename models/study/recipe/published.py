"""Published weights and data: where each file comes from, fetching it into a folder of sources, and verifying it."""

import dataclasses
import hashlib
import http.client
import json
import pathlib
import shutil
import urllib.error
import urllib.request

import manifest

RECORDS = "SOURCES.json"
# What to do about a file that is not what it should be.
AGAIN = "delete it, so that it is fetched anew"
# Seconds without an answer after which a server counts as out of reach.
TIMEOUT = 60


class Wrong(Exception):
    """Something a person can put right, told in one sentence or a sentence a line."""


@dataclasses.dataclass(frozen=True)
class Source:
    """A published file: its name in the folder of sources, what the manifest says of it, and its published hash."""

    file: str
    url: str
    what: str
    title: str
    licence: str
    copyright: str
    # Algorithm and hexadecimal digits, and where they stand; none where no hash is published.
    digest: tuple[str, str] | None = None
    publisher: str = ""


def digest(path, algorithm):
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def download(url, path):
    """Fetch to a `.part` file beside `path`, renamed when it is whole."""
    part = path.with_name(path.name + ".part")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, part.open("wb") as file:
            shutil.copyfileobj(answer, file)
            announced = answer.headers.get("Content-Length")
        if announced is not None and part.stat().st_size != int(announced):
            raise http.client.IncompleteRead(b"", int(announced) - part.stat().st_size)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class Folder:
    """The folder of sources. A file without a published hash is trusted when first met, and must stay the same."""

    def __init__(self, path):
        self.path = path
        self.records = {}
        if (path / RECORDS).exists():
            try:
                self.records = json.loads((path / RECORDS).read_text())
            except ValueError as error:
                what = f"{path / RECORDS}: not readable as JSON ({error})"
                raise Wrong(f"{what}: delete it, and files are recorded anew") from error

    def fetch(self, sources):
        """Have all these sources in the folder, each verified; what cannot be had is told in a sentence a file."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Wrong(f"{self.path}: cannot be a folder of sources ({error.strerror}): name another") from error
        absent, network = [], ""
        for source in sources:
            path = self.path / source.file
            if not path.exists():
                try:
                    if not network:
                        print(f"{source.file}: downloading {source.url}", flush=True)
                        download(source.url, path)
                except urllib.error.HTTPError as error:
                    absent.append((source, f"the server answers {error.code} {error.reason}"))
                    continue
                except (OSError, http.client.HTTPException) as error:
                    network = str(getattr(error, "reason", error))
            if not path.exists():
                absent.append((source, f"it could not be downloaded: {network}"))
                continue
            self.verify(source)
        if absent:
            raise Wrong("\n".join(
                f"{source.file} is missing and {why}: fetch {source.url} and put it at {self.path / source.file}"
                for source, why in absent
            ))

    def verify(self, source):
        """Compare a file with its published hash and with its record, or record it."""
        path = self.path / source.file
        found = {"url": source.url, "bytes": path.stat().st_size, "sha256": digest(path, "sha256")}
        if source.digest:
            algorithm, due = source.digest
            told = digest(path, algorithm)
            if told != due:
                raise Wrong(f"{path}: its {algorithm.upper()} is {told}, but {source.publisher} has {due}: {AGAIN}")
        recorded = self.records.get(source.file)
        if recorded and any(recorded.get(key) != found[key] for key in ("bytes", "sha256")):
            raise Wrong(
                f"{path}: {found['bytes']} bytes with SHA-256 {found['sha256']}, but {self.path / RECORDS} has "
                f"{recorded.get('bytes')} with {recorded.get('sha256')} from its first use: {AGAIN}, or its record if this "
                "file is the right one"
            )
        if not recorded:
            known = f"its hash is the one that {source.publisher} has"
            trusted = "no published hash is known, so it is trusted on this first use"
            print(f"{source.file}: {found['bytes']} bytes, recorded; {known if source.digest else trusted}", flush=True)
            self.records[source.file] = found
            part = self.path / (RECORDS + ".part")
            part.write_text(json.dumps(self.records, indent=2, sort_keys=True) + "\n")
            part.replace(self.path / RECORDS)

    def origin(self, source):
        """The manifest's `origin` table of a file that was fetched."""
        sha256 = self.records[source.file]["sha256"]
        return manifest.origin(source.what, source.title, source.url, source.licence, source.copyright, sha256)
