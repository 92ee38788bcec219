package watch

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// askJobs asks the scheduler about the runs after a pause.
func (m *Model) askJobs(pause time.Duration) tea.Cmd {
	if m.o.Jobs == nil {
		return nil
	}
	folders := make([]string, 0, len(m.list.rows))
	for folder, r := range m.list.rows {
		if r.Comparison != "" {
			folders = append(folders, folder)
		}
	}
	return m.do(func() tea.Msg {
		if !m.sleep(pause) {
			return nil
		}
		jobs, err := m.o.Jobs(m.ctx, folders)
		return jobsMsg{jobs, err}
	})
}

// learnJobs takes up what the scheduler knows, and asks again before long.
func (m *Model) learnJobs(msg jobsMsg) tea.Cmd {
	m.unasked = msg.err
	if msg.err == nil || len(msg.jobs) > 0 { // else what was known last is shown on
		m.list.learnJobs(msg.jobs)
	}
	if !m.list.listed {
		return m.askJobs(time.Second)
	}
	return m.askJobs(jobsPause)
}
