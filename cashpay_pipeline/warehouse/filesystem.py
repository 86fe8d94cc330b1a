"""Where the working file may lie: on a disk of this machine, not on one that several machines share (C5, R14).

Over a network a lock is a promise that the other machine may not know of, and a write may arrive in another order.
"""

from pathlib import Path

from cashpay_pipeline.errors import WarehouseError

MOUNTS = Path("/proc/mounts")
SHARED = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "lustre", "gfs2", "ocfs2", "davfs"}
    | {f"fuse.{name}" for name in ("sshfs", "rclone", "glusterfs", "s3fs", "gcsfuse", "juicefs", "davfs2")}
    | {"glusterfs", "beegfs", "gpfs", "fuse.mount-s3", "fuse.blobfuse2", "fuse.cephfs", "fuse.smbnetfs"}
)


def refuse_shared_filesystem(folder: Path) -> None:
    """Do nothing if `folder` lies on this machine, as far as can be told.

    Raises:
        WarehouseError: it lies on a network file system.
    """
    kind = filesystem_of(folder)
    if kind in SHARED:
        raise WarehouseError(
            f"The data folder lies on a network file system ({kind}), where locks and writes cannot be relied on.",
            where=str(folder),
            next_step="Set CASHPAY_DATA_DIR to a folder on a disk of this machine; copy analytics.duckdb to the "
            "network from there.",
        )


def filesystem_of(folder: Path) -> str | None:
    """The type of the file system that holds `folder`; None where the system does not tell, as on a Mac."""
    try:
        mounts = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    place = folder.resolve()
    # A later mount hides an earlier one at the same place, so the last of the longest is what holds.
    found: tuple[int, str | None] = (0, None)
    for _, point, kind, *_ in (line.split(" ") for line in mounts if line.count(" ") >= 3):
        mount = Path(_unescaped(point))
        if place.is_relative_to(mount) and len(mount.parts) >= found[0]:
            found = (len(mount.parts), kind)
    return found[1]


def _unescaped(point: str) -> str:
    """The kernel writes a blank in a path as its octal code."""
    for code, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        point = point.replace(code, character)
    return point
