//go:build unix

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cifartui/train/event"
	"cifartui/train/rundir"
)

// lines are those of a record of these events, numbered from 1.
func lines(t *testing.T, folder string, events ...event.Event) []byte {
	t.Helper()
	var text []byte
	for i, e := range events {
		h := e.Head()
		h.Event, h.Seq, h.Run = event.KindOf(e), uint64(i+1), rundir.Name(folder)
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		text = append(append(text, b...), '\n')
	}
	return text
}

// putBack puts another file in a record's place, as a restore from a backup does.
func putBack(t *testing.T, folder string, text []byte) {
	t.Helper()
	path := filepath.Join(folder, rundir.EventsFile)
	if err := errors.Join(os.WriteFile(path+".new", text, 0o600), os.Rename(path+".new", path)); err != nil {
		t.Error(err)
	}
}

// Who waits for the effect of a command sees it in the record that is put in the
// place of the one at hand, and takes nothing of the past for it.
func TestEffectIsSeenInARecordThatWasPutBack(t *testing.T) {
	folder := t.TempDir()
	past := []event.Event{&event.RunStarted{}, &event.StateChanged{State: event.StatePaused}, &event.StateChanged{State: event.StateRunning}}
	putBack(t, folder, lines(t, folder, past...))
	lock, err := rundir.LockFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		in, taken := openInboxEmpty(folder), false
		for !taken && ctx.Err() == nil {
			in.look(func(Request) error {
				taken = true
				putBack(t, folder, lines(t, folder, append(past, &event.Warning{Message: "not now", Refuses: string(VerbPause)})...))
				return nil
			})
			time.Sleep(time.Millisecond)
		}
	}()
	err = commandByFile(ctx, folder, Request{ID: 1, Cmd: VerbPause, Wait: true})
	var reply *ReplyError
	if !errors.As(err, &reply) || reply.Code != CodeRefused {
		t.Errorf("the command's effect is %v, want that it is refused", err)
	}
	cancel()
	<-done
}

// A client of the socket that is told from the record goes on in the one that is put
// in its place, and is told nothing twice.
func TestFeedGoesOnInARecordThatWasPutBack(t *testing.T) {
	folder := t.TempDir()
	past := []event.Event{&event.RunStarted{}, &event.EpochDone{Epoch: 1}, &event.EpochDone{Epoch: 2}}
	putBack(t, folder, lines(t, folder, past[:2]...))
	f := newFeed(folder, newBacklog(), nil)
	defer f.close()
	told := f.history(nil, 1<<20)
	putBack(t, folder, lines(t, folder, past...))
	told = f.history(told, 1<<20)
	if want := lines(t, folder, past...); !bytes.Equal(told, want) {
		t.Errorf("told\n%s, want\n%s", told, want)
	}
}

// One who reads a run's files along is told of an epoch that the record had lost when
// they came and has again, once.
func TestReaderIsToldOfEpochsThatARecordHasAgain(t *testing.T) {
	folder := t.TempDir()
	whole := lines(t, folder, &event.RunStarted{}, &event.EpochDone{Epoch: 1}, &event.EpochDone{Epoch: 2}, &event.EpochDone{Epoch: 3})
	parts := bytes.SplitAfter(whole, []byte("\n"))
	r := newReader(folder, os.Getpid(), true)
	defer r.close()
	var got []uint64
	for _, text := range [][]byte{bytes.Join(slices.Delete(slices.Clone(parts), 1, 3), nil), whole, append(whole, '\n')} {
		putBack(t, folder, text)
		for {
			events, err := r.fromFiles(t.Context(), 100)
			for _, e := range events {
				if !r.known(e) {
					got = append(got, e.Head().Seq)
				}
			}
			if err != nil {
				break
			}
		}
	}
	if !slices.Equal(got, []uint64{1, 4, 2, 3}) {
		t.Errorf("told of %v, want of each once", got)
	}
}
