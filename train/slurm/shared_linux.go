package slurm

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// local are the file systems that only one machine sees, by the number that
// statfs gives them.
var local = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
	unix.TMPFS_MAGIC: "tmpfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.F2FS_SUPER_MAGIC: "f2fs", 0x2fc12fc1: "zfs",
}

// LocalFileSystem names the file system of a folder, or of the nearest one above
// it, if it is one that only this machine sees; "" if it is not, or that is not
// known.
func LocalFileSystem(folder string) string {
	for {
		var st unix.Statfs_t
		err := unix.Statfs(folder, &st)
		if err == nil {
			return local[int64(st.Type)]
		}
		if !os.IsNotExist(err) || filepath.Dir(folder) == folder {
			return ""
		}
		folder = filepath.Dir(folder)
	}
}
