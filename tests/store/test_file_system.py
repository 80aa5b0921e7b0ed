"""Which file systems may hold a database. The values are from real systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from visavis.errors import DatabaseUnusable
from visavis.store import file_system
from visavis.store.database import Database
from visavis.store.file_system import Mount, check_place, mount_of, network_file_system

EXT, XFS, BTRFS, TMPFS, OVERLAY, ZFS = 0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0x794C7630, 0x2FC12FC1
NFS, SMB, CIFS, SMB2, NINE_P, FUSE = 0x6969, 0x517B, 0xFF534D42, 0xFE534D42, 0x01021997, 0x65735546

# Lines of /proc/self/mountinfo: a container with volumes, WSL 2, and a desktop.
MOUNTINFO = r"""
1096 1044 0:152 / / rw,relatime master:398 - overlay overlay rw,lowerdir=/var/lib/l/A,upperdir=/u,workdir=/w
1097 1096 0:155 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
1104 1096 0:48 / /srv/nfs rw,relatime - nfs4 files.example.org:/export/visavis rw,vers=4.2,rsize=1048576
1105 1096 0:49 / /srv/nfs3 rw,relatime - nfs 10.0.0.4:/vol1 rw,vers=3,nolock,proto=tcp,mountaddr=10.0.0.4
1106 1096 0:50 / /mnt/Photos\040and\040more rw,relatime - cifs //nas.local/share rw,vers=3.1.1,cache=strict,uid=1000
1107 1096 0:51 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\;uid=1000,trans=fd,rfd=5,wfd=5
1108 1096 0:52 / /home/ann/far rw,nosuid,nodev,relatime - fuse.sshfs ann@example.org: rw,user_id=1000,group_id=1000
1109 1096 8:17 / /media/disk rw,nosuid,nodev,relatime - fuseblk /dev/sdb1 rw,user_id=0,group_id=0,allow_other
1110 1096 259:2 /volumes/v1/_data /data rw,relatime master:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
1111 1110 0:48 /packs /data/avatars rw,relatime - nfs4 files.example.org:/export/packs rw,vers=4.2
1112 1096 0:60 / /srv/nfs/local rw,relatime - tmpfs tmpfs rw,size=65536k
1113 1096 0:61 / /over rw,relatime - nfs4 files.example.org:/over rw
1114 1113 0:62 / /over rw,relatime - ext4 /dev/sdc1 rw
not a line
"""


@pytest.mark.parametrize(
    ("path", "statfs_type", "expected"),
    [
        ("/work", OVERLAY, None),
        ("/data", EXT, None),
        ("/data/database", EXT, None),
        ("/data/avatars", NFS, "NFS"),
        ("/data/avatars2", EXT, None),
        ("/srv/nfs", NFS, "NFS"),
        ("/srv/nfs/deep/down", NFS, "NFS"),
        ("/srv/nfs/local", TMPFS, None),
        ("/srv/nfs3/x", NFS, "NFS"),
        ("/mnt/Photos and more", SMB2, "SMB"),
        ("/mnt/c/Users/ann/visavis", NINE_P, "9p"),
        ("/home/ann/far/data", FUSE, "SSHFS"),
        ("/media/disk/data", FUSE, None),
        ("/over", EXT, None),
        ("/somewhere", SMB, "SMB"),
        ("/somewhere", CIFS, "SMB"),
        ("/somewhere", CIFS - 2**32, "SMB"),  # where the field is a signed one of 32 bits
        ("/somewhere", XFS, None),
        ("/somewhere", BTRFS, None),
        ("/somewhere", ZFS, None),
    ],
)
def test_a_database_lies_on_local_disks_only(path: str, statfs_type: int, expected: str | None) -> None:
    assert network_file_system(statfs_type, mount_of(path, MOUNTINFO)) == expected
    if path != "/somewhere":  # mountinfo alone says the same, where there is no statfs
        assert network_file_system(None, mount_of(path, MOUNTINFO)) == expected


def test_statfs_alone_decides_where_there_is_no_mountinfo() -> None:
    assert network_file_system(NFS, None) == "NFS"
    assert network_file_system(FUSE, None) is None
    assert network_file_system(None, None) is None


def test_a_mount_is_found_with_its_name() -> None:
    mount = mount_of("/mnt/Photos and more/2024", MOUNTINFO)
    assert mount == Mount(point="/mnt/Photos and more", kind="cifs", source="//nas.local/share")
    assert mount_of("/mnt/c", MOUNTINFO) == Mount(point="/mnt/c", kind="9p", source="C:\\")
    assert mount_of("/data", "") is None


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="asks the file systems of Linux")
def test_the_kernel_is_asked() -> None:
    assert file_system._statfs_type(Path("/dev/shm")) == TMPFS
    mount = file_system._mount_of(Path("/dev/shm"))
    assert mount is not None and (mount.point, mount.kind) == ("/dev/shm", "tmpfs")
    assert file_system._statfs_type(Path("/no/such/folder")) is None


@pytest.mark.anyio
async def test_a_database_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "new" / "visavis.db"
    check_place(database)
    monkeypatch.setattr(file_system, "_statfs_type", lambda folder: {tmp_path: NFS}[folder])
    monkeypatch.setattr(
        file_system, "_mount_of", lambda folder: Mount(point="/srv", kind="nfs4", source="files:/export")
    )
    with pytest.raises(DatabaseUnusable) as refused:
        await Database.open(f"sqlite+aiosqlite:///{database}")
    assert refused.value.message == f"SQLite cannot keep the database {database} on NFS (files:/export at /srv)"
    assert not database.parent.exists()
