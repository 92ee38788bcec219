package control

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerIsSelf makes sure that the process at the other end of a connection is
// this user's.
func peerIsSelf(c *net.UnixConn) error {
	var cred *unix.Ucred
	err := onSocket(c, func(fd int) (err error) {
		cred, err = unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		return err
	})
	if err != nil {
		return err
	}
	return checkUser(int(cred.Uid))
}
