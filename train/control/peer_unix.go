//go:build linux || darwin

package control

import (
	"fmt"
	"net"
	"os"
)

// onSocket runs f on a connection's file descriptor.
func onSocket(c *net.UnixConn, f func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("control: ask who is at the other end: %w", err)
	}
	var ferr error
	if err := raw.Control(func(fd uintptr) { ferr = f(int(fd)) }); err != nil {
		return fmt.Errorf("control: ask who is at the other end: %w", err)
	}
	if ferr != nil {
		return fmt.Errorf("control: ask who is at the other end: %w", ferr)
	}
	return nil
}

func checkUser(uid int) error {
	if uid != os.Geteuid() {
		return fmt.Errorf("control: the process at the other end belongs to user %d, not to this user", uid)
	}
	return nil
}
