package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// The files that control keeps in a run folder.
const (
	socketName = "run.sock"
	// pointerName is a file that holds the socket's path, where the socket is not
	// in the run folder itself.
	pointerName = "run.sock.path"
	// bindName is what a socket is called until it is ready. It is no longer than
	// socketName, so that both fit or neither does.
	bindName = "run.new"
	// noSocketMark in the pointer file says that the process has no socket.
	noSocketMark = "none\n"
)

// maxSocketPath is how long the path of a Unix socket can be, in bytes: the
// kernel's sun_path less its closing zero.
func maxSocketPath() int {
	if runtime.GOOS == "linux" || runtime.GOOS == "windows" {
		return 107
	}
	return 103
}

func fits(path string) error {
	if most := maxSocketPath(); len(path) > most {
		return fmt.Errorf("%s: %d bytes are too many for the path of a socket: at most %d", path, len(path), most)
	}
	return nil
}

// listen opens the control socket of a run folder, whose lock the caller holds:
// a socket that is there already is a dead process's and is replaced. It is made
// in the run folder or, where that cannot be, in the runtime folder.
func listen(folder string) (*net.UnixListener, string, error) {
	pointer := filepath.Join(folder, pointerName)
	os.Remove(pointer) // of a dead process, or not there
	path := filepath.Join(folder, socketName)
	// A client may know the folder by a longer path than this process does.
	abs, err := filepath.Abs(path)
	if err == nil {
		err = fits(abs)
	}
	var l *net.UnixListener
	if err == nil {
		l, err = listenAt(path)
	}
	if err == nil {
		return l, path, nil
	}
	os.Remove(path) // of a dead process, in a folder that has become unfit
	first := err
	path, err = runtimeSocket(folder)
	if err == nil {
		l, err = listenAt(path)
	}
	if err == nil {
		if err = writeFile(pointer, []byte(path+"\n")); err == nil {
			return l, path, nil
		}
		l.Close()
		os.Remove(path)
	}
	// So that nobody waits for a socket. It helps those who look, no more.
	_ = writeFile(pointer, []byte(noSocketMark))
	return nil, "", errors.Join(first, err)
}

// listenAt makes a socket that only this user can reach, from its first moment:
// under another name first, then made private, then moved over what is there.
func listenAt(path string) (*net.UnixListener, error) {
	if err := fits(path); err != nil {
		return nil, err
	}
	bind := path
	if renameSockets {
		bind = filepath.Join(filepath.Dir(path), bindName)
	}
	if err := os.Remove(bind); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("make way for the control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: bind, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(bind, 0o600)
	if err == nil && bind != path {
		err = os.Rename(bind, path)
	}
	if err != nil {
		l.Close()
		os.Remove(bind)
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	return l, nil
}

// runtimeSocket returns where the socket of a run folder lies in the runtime
// folder, which it makes if need be.
func runtimeSocket(folder string) (string, error) {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	dir, err := runtimeFolder()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(abs))
	// A folder of its own, as listenAt needs a second name beside the socket.
	dir = filepath.Join(dir, hex.EncodeToString(sum[:6]))
	if err := privateFolder(dir); err != nil {
		return "", err
	}
	return filepath.Join(dir, socketName), nil
}

// runtimeFolder is $XDG_RUNTIME_DIR/cifartui, or a folder of this user's own
// among the temporary files.
func runtimeFolder() (string, error) {
	dir := ""
	if base := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(base) {
		dir = filepath.Join(base, "cifartui")
	}
	if dir != "" && privateFolder(dir) == nil {
		return dir, nil
	}
	dir = filepath.Join(os.TempDir(), fmt.Sprintf("cifartui-%d", os.Getuid()))
	return dir, privateFolder(dir)
}

// privateFolder makes a folder that only this user can enter, or makes sure that
// the one that is there is such a folder and not somebody else's.
func privateFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the runtime folder: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at the runtime folder: %w", err)
	}
	if !info.IsDir() || !ownFile(info) || (privateModes && info.Mode().Perm()&0o077 != 0) {
		return fmt.Errorf("%s is not a folder of this user's alone (mode 0700): remove it, or set XDG_RUNTIME_DIR", dir)
	}
	return nil
}

// findSocket returns the path of a run folder's socket, whether or not anybody
// listens there; an error that is fs.ErrNotExist if the folder names none.
func findSocket(folder string) (string, error) {
	path := filepath.Join(folder, socketName)
	_, err := os.Lstat(path)
	if err == nil && len(path) <= maxSocketPath() {
		return path, nil
	}
	b, perr := os.ReadFile(filepath.Join(folder, pointerName))
	if perr != nil {
		if err == nil { // a socket, but out of reach by this name
			return "", fmt.Errorf("%s: too long for a socket's path: go to the folder and name it by %q", path, ".")
		}
		return "", perr
	}
	if string(b) == noSocketMark {
		return "", errors.New("its process could make no control socket")
	}
	path = strings.TrimSuffix(string(b), "\n")
	if !filepath.IsAbs(path) || len(path) > maxSocketPath() || strings.ContainsAny(path, "\x00\n") {
		return "", fmt.Errorf("%s: does not hold the path of a socket", filepath.Join(folder, pointerName))
	}
	return path, nil
}

// socketless reports whether the process that trains in a run folder has said
// that it has no socket.
func socketless(folder string) bool {
	b, err := os.ReadFile(filepath.Join(folder, pointerName))
	return err == nil && string(b) == noSocketMark
}

// closeSocket removes what listen made, unless the next process of the run has
// already put its own in its place.
func closeSocket(folder, path string, made fs.FileInfo) error {
	now, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("remove the control socket: %w", err)
	}
	if made != nil && !os.SameFile(made, now) {
		return nil
	}
	err = os.Remove(path)
	if filepath.Dir(path) != filepath.Clean(folder) {
		// The folder of its own in the runtime folder, if nothing else is in it.
		err = errors.Join(err, os.Remove(filepath.Dir(path)), os.Remove(filepath.Join(folder, pointerName)))
	}
	if err != nil {
		return fmt.Errorf("remove the control socket: %w", err)
	}
	return nil
}

// writeFile writes a small file whole or not at all, readable by this user only.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
