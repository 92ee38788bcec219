package tui

import tea "github.com/charmbracelet/bubbletea"

type compareState struct{}
type fileState struct{ chosen int }
type samplesState struct{}
type systemState struct{}
type gauges struct{}

func (f *fileState) take(filesMsg)          {}
func (s *systemState) take(gauges)          {}
func (m *Model) listFiles() tea.Cmd         { return nil }
func (m *Model) verified(verifiedMsg)       {}
func (m *Model) deleted(deletedMsg) tea.Cmd { return nil }
func (m *Model) sample() tea.Cmd            { return nil }
func (m *Model) drawCompare(area)           {}
func (m *Model) drawCheckpoints(area)       {}
func (m *Model) drawSamples(area)           {}
func (m *Model) drawSystem(area)            {}
func (m *Model) openRun() tea.Cmd           { return nil }
func (m *Model) nextLayout() tea.Cmd        { return nil }
func (m *Model) hideRun() tea.Cmd           { return nil }
func (m *Model) nextOrder() tea.Cmd         { return nil }
func (m *Model) nextTarget() tea.Cmd        { return nil }
func (m *Model) scroll(int) tea.Cmd         { return nil }
func (m *Model) page() int                  { return 10 }
func (m *Model) hasCheckpoint() bool        { return false }
func (m *Model) askResume() tea.Cmd         { return nil }
func (m *Model) verify() tea.Cmd            { return nil }
func (m *Model) copyPath() tea.Cmd          { return nil }
func (m *Model) askDelete() tea.Cmd         { return nil }
func (m *Model) nextSamples() tea.Cmd       { return nil }
