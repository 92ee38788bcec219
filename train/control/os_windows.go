package control

import (
	"io/fs"
	"net"
	"syscall"

	"golang.org/x/sys/windows"
)

// On Windows the folders' access lists say who may reach a socket or a file:
// those of a person's own profile let in nobody else.
const (
	renameSockets = false
	privateModes  = false
)

func ownFile(fs.FileInfo) bool { return true }

// peerIsSelf cannot be asked of a Unix socket on Windows.
func peerIsSelf(*net.UnixConn) error { return nil }

// detachedProcess gives a process no console, so that no end of one reaches it.
func detachedProcess() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}
