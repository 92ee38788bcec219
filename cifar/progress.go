package cifar

import (
	"context"
	"io"
	"time"
)

// meterEvery is the least time between two progress reports of one stage: a
// person sees no more, and a caller may write each of them to a terminal.
const meterEvery = 100 * time.Millisecond

// A meter calls a progress function, not too often. One goroutine uses it.
type meter struct {
	report func(Progress) // nil: nobody asked
	now    Progress
	last   time.Time
}

func newMeter(report func(Progress)) *meter { return &meter{report: report} }

// start begins a stage.
func (m *meter) start(stage Stage, done, total int64) {
	m.now = Progress{Stage: stage, Done: done, Total: total, Data: m.now.Data}
	m.flush()
}

// add counts n units more.
func (m *meter) add(n int64) {
	m.now.Done += n
	if m.report != nil && time.Since(m.last) >= meterEvery {
		m.flush()
	}
}

// flush reports where the stage stands.
func (m *meter) flush() {
	if m.report != nil {
		m.last = time.Now()
		m.report(m.now)
	}
}

// note reports words, between two stages.
func (m *meter) note(stage Stage, done, total int64, words string) {
	if m.report != nil {
		m.report(Progress{Stage: stage, Done: done, Total: total, Data: m.now.Data, Note: words})
	}
}

// A meteredReader counts what is read through it and ends with its context.
type meteredReader struct {
	ctx context.Context
	r   io.Reader
	m   *meter
}

func (r *meteredReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	r.m.add(int64(n))
	return n, err
}
