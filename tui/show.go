package tui

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"cifartui/tui/style"
	"cifartui/tui/terminal"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/muesli/termenv"
)

// framesPerSecond is how often the terminal is written to, at most.
const framesPerSecond = 10

// A Terminal is what screens are shown on.
type Terminal struct {
	Out   io.Writer // takes codes for the terminal
	asked func()    // told that the terminal is asked; nil: its answers would not be understood
}

// AskBackground makes a command that asks the terminal once for its background,
// where the answer is of use and the terminal is known to take the question: nil
// where it is not. The answer comes as a [BackgroundMsg].
func (t *Terminal) AskBackground(o Options) func() tea.Msg {
	o = o.filled()
	_, known := terminal.DarkByEnv(o.Env)
	term := o.Env("TERM")
	if t == nil || t.asked == nil || known || !o.autoTheme() || term == "" || term == "linux" || term == "dumb" {
		return nil
	}
	return func() tea.Msg {
		t.asked()
		_, _ = io.WriteString(t.Out, terminal.Questions)
		return nil
	}
}

// Show gives the terminal to a Bubble Tea program, which model makes, until it
// quits or ctx ends, and restores the terminal. Of o it takes In and Out. The
// error is model's, that of a context that ended, [ErrTerminal] when the terminal
// is gone, or why the program could not open.
func Show(ctx context.Context, o Options, model func(context.Context, *Terminal) (tea.Model, error)) error {
	o = o.filled()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := terminal.NewReader(o.In)
	out := terminal.NewWriter(o.Out)
	t := &Terminal{Out: out}
	if in != nil {
		t.asked = in.Asked
	}
	m, err := model(ctx, t)
	if err != nil {
		return err
	}
	opts := []tea.ProgramOption{
		tea.WithContext(ctx), tea.WithAltScreen(), tea.WithFPS(framesPerSecond),
		tea.WithoutSignalHandler(), tea.WithOutput(out),
	}
	switch {
	case in != nil:
		opts = append(opts, tea.WithInput(in))
	case o.In != nil:
		opts = append(opts, tea.WithInput(o.In))
	default:
		opts = append(opts, tea.WithInputTTY())
	}
	p := tea.NewProgram(m, opts...)
	out.Repaint = func() { p.Send(tea.ClearScreen()) }
	out.Lost = p.Kill
	if o.width > 0 {
		go p.Send(tea.WindowSizeMsg{Width: o.width, Height: o.height})
	}
	if in == nil {
		_, err = p.Run()
		out.End()
	} else {
		in.Background = func(dark bool) { p.Send(BackgroundMsg{dark}) }
		in.Lost = func() { out.Fail(ErrTerminal) }
		if err := in.Start(); err != nil {
			out.End()
			return fmt.Errorf("screen: %w", err)
		}
		endSuspend := terminal.Suspend(in, out)
		_, err = p.Run()
		endSuspend()
		out.End()
		in.End() // after what restores the terminal has been written
	}
	switch {
	case out.Err() != nil:
		return out.Err()
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("screen: %w", err)
	}
	return nil
}

// Look returns the characters and the colours that o's terminal has.
func (o Options) Look() (*style.Glyphs, *style.Palette) {
	o = o.filled()
	windows := runtime.GOOS == "windows"
	profile := termenv.Ascii
	if o.Theme != "none" {
		profile = terminal.Colours(o.Env, windows)
	}
	dark := o.Theme != "light"
	if d, ok := terminal.DarkByEnv(o.Env); ok && o.autoTheme() {
		dark = d
	}
	return style.GlyphsFor(o.Env, windows), style.NewPalette(profile, dark)
}

func (o Options) autoTheme() bool { return o.Theme == "" || o.Theme == "auto" }
