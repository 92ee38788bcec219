package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cifartui/train/control"
)

// remoteVariable is the environment variable that names the program on other
// machines, where --remote-command does not.
const remoteVariable = "CIFARTUI_REMOTE_COMMAND"

// remoteFlag adds --remote-command.
func remoteFlag(cmd *cobra.Command, program *string) {
	cmd.Flags().StringVar(program, "remote-command", os.Getenv(remoteVariable),
		"path of cifartui on the machine of ssh://, where its PATH has none (default $"+remoteVariable+")")
	cmd.Flags().Lookup("remote-command").DefValue = ""
}

// What ssh's exit codes mean.
const (
	sshNotFound = 127 // of the shell over there: no such program
	sshBroken   = 255 // ssh's own: no connection, or none any more
)

// overSSH runs this program's command on another machine. which is how the
// person named the run there. A terminal that the program over there could not
// restore, since the connection broke, is restored here.
func overSSH(cmd *cobra.Command, remote control.Remote, which string, argv []string) error {
	ssh := exec.CommandContext(cmd.Context(), argv[0], argv[1:]...)
	ssh.Stdin, ssh.Stdout, ssh.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	restore := terminalOf(cmd.InOrStdin(), cmd.OutOrStdout())
	err := ssh.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return fmt.Errorf("ssh: %w", err)
	case exit.ExitCode() == sshNotFound:
		return &exitError{exitFailed, fmt.Errorf("ssh: %s has no cifartui in the PATH of a command: name it with --remote-command PATH or in $%s", remote.Host, remoteVariable)}
	case exit.ExitCode() == sshBroken:
		restore()
		return &exitError{exitFailed, fmt.Errorf("ssh: no connection to %s, or none any more; the run there goes on: \"%s\" tries again", remote.Host, "cifartui "+cmd.Name()+" "+which)}
	case exit.ExitCode() < 0: // a signal
		restore()
		return &exitError{exitFailed, fmt.Errorf("ssh: %w", exit)}
	}
	return &exitError{code: exit.ExitCode()} // it has said why
}

// leaveScreen ends what a screen sets: the other screen, the hidden cursor, the
// mouse, pastes in brackets, colours.
const leaveScreen = "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[0m\r\n"

// terminalOf remembers how the terminal is and returns what restores it.
func terminalOf(in io.Reader, out io.Writer) (restore func()) {
	if !isTerminal(in) || !isTerminal(out) {
		return func() {}
	}
	fd := int(in.(*os.File).Fd())
	modes, err := term.GetState(fd)
	return func() {
		if err == nil {
			_ = term.Restore(fd, modes) // a terminal that is gone needs it no more
		}
		_, _ = io.WriteString(out, leaveScreen)
	}
}
