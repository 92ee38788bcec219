//go:build unix

package control

import (
	"io/fs"
	"os"
	"syscall"
)

const (
	// renameSockets: a socket can be moved while it is listened on.
	renameSockets = true
	// privateModes: permission bits say who may enter.
	privateModes = true
)

// ownFile reports whether a file is this user's.
func ownFile(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid()
}

// detachedProcess makes a process the leader of a session of its own, so that it
// has no terminal and no end of one reaches it.
func detachedProcess() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
