// Package noprobe keeps the program's start free of questions to the terminal.
//
// Importing Bubble Tea asks the terminal for its background colour, and where
// the terminal does not answer the program hangs for five seconds before main
// begins, even when it never opens a screen. Go initializes packages that are
// ready in the order of their import paths, so this package, which needs
// nothing but lipgloss, runs before Bubble Tea does and answers for the
// terminal. Package tui asks by itself, later, without waiting.
package noprobe

import "github.com/charmbracelet/lipgloss"

func init() { lipgloss.SetHasDarkBackground(true) }
