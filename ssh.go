package main

import (
	"errors"
	"fmt"
	"os/exec"

	"github.com/spf13/cobra"
)

// overSSH runs a command of this program on another machine.
func overSSH(cmd *cobra.Command, argv []string) error {
	ssh := exec.CommandContext(cmd.Context(), argv[0], argv[1:]...)
	ssh.Stdin, ssh.Stdout, ssh.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	err := ssh.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &exitError{code: exit.ExitCode()} // it has said why
	}
	if err != nil {
		return fmt.Errorf("ssh: %w", err)
	}
	return nil
}
