//go:build unix

package control

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A command that is left as a file is answered by who obeyed it, whatever is killed
// between two writes and whoever trains the run meanwhile.
func TestACommandFileIsAnsweredByWhoObeyedIt(t *testing.T) {
	obey := func(Request) error { return nil }
	for name, c := range map[string]struct {
		meanwhile func(t *testing.T, folder, name string)
		code      Code
		told      string // "" for success
	}{
		"obeyed": {meanwhile: func(_ *testing.T, folder, _ string) { openInboxEmpty(folder).look(obey) }},
		"refused": {func(_ *testing.T, folder, _ string) {
			openInboxEmpty(folder).look(func(Request) error { return errors.New("the run has ended") })
		}, CodeRefused, "the run has ended"},
		"nobody is there": {func(*testing.T, string, string) {}, "", "taken nothing"},
		"killed before it took the command, and gone on with": {func(_ *testing.T, folder, _ string) {
			openInbox(folder).look(obey)
		}, CodeRefused, "not obeyed"},
		"killed when it had taken the command": {func(t *testing.T, folder, name string) {
			take(t, folder, name)
		}, CodeUnknown, "not known"},
		"killed when it had taken the command, and gone on with": {func(t *testing.T, folder, name string) {
			take(t, folder, name)
			openInbox(folder).look(obey)
		}, CodeUnknown, "not known"},
		"killed when it had answered, and gone on with": {meanwhile: func(_ *testing.T, folder, _ string) {
			openInboxEmpty(folder).look(obey)
			openInbox(folder).look(func(Request) error { return errors.New("obeyed twice") })
		}},
		"an older version, which says nothing": {func(t *testing.T, folder, name string) {
			if err := os.Remove(filepath.Join(folder, commandFolder, name+commandSuffix)); err != nil {
				t.Error(err)
			}
		}, CodeUnknown, "not known"},
		"slow to begin": {meanwhile: func(_ *testing.T, folder, _ string) {
			time.Sleep(commandLimit - commandPoll)
			openInboxEmpty(folder).look(obey)
		}},
		"slow to obey": {meanwhile: func(_ *testing.T, folder, _ string) {
			openInboxEmpty(folder).look(func(Request) error {
				time.Sleep(commandLimit + commandPoll/2)
				return nil
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				answer := make(chan error, 1)
				go func() { answer <- leaveCommand(t.Context(), folder, Request{ID: 1, Cmd: VerbStop}) }()
				synctest.Wait()
				left, err := filepath.Glob(filepath.Join(folder, commandFolder, "*"+commandSuffix))
				if err != nil || len(left) != 1 {
					t.Fatalf("left: %v, %v", left, err)
				}
				c.meanwhile(t, folder, strings.TrimSuffix(filepath.Base(left[0]), commandSuffix))
				err = <-answer
				var reply *ReplyError
				errors.As(err, &reply)
				switch {
				case c.told == "" && err != nil, c.told != "" && (err == nil || !strings.Contains(err.Error(), c.told)):
					t.Errorf("got %v, want %q", err, c.told)
				case c.code != "" && (reply == nil || reply.Code != c.code):
					t.Errorf("got %#v, want the code %s", reply, c.code)
				}
				if left, err := filepath.Glob(filepath.Join(folder, commandFolder, "*"+commandSuffix)); err != nil || len(left) > 0 {
					t.Errorf("still to be obeyed: %v, %v", left, err)
				}
			})
		})
	}
}

// openInboxEmpty is the inbox of a process that has begun before anything was left.
func openInboxEmpty(folder string) *inbox {
	return &inbox{dir: filepath.Join(folder, commandFolder), replies: map[string]time.Time{}}
}

// take does of a look what a process has done that is killed before it obeys.
func take(t *testing.T, folder, name string) {
	path := filepath.Join(folder, commandFolder, name)
	if err := os.Rename(path+commandSuffix, path+takenSuffix); err != nil {
		t.Error(err)
	}
}

// Commands that nobody took must not reach a later process of the run.
func TestOldCommandFilesAreNotObeyed(t *testing.T) {
	folder := t.TempDir()
	dir := filepath.Join(folder, commandFolder)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "1"+commandSuffix), []byte(`{"id":1,"cmd":"stop"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, folder) // the server has looked when it is there
	line, err := readOwn(filepath.Join(dir, "1"+takenSuffix))
	if err != nil {
		t.Fatal(err)
	}
	if reply, ok := readReply(line); !ok || reply.Reply != 1 || reply.Code != CodeRefused {
		t.Errorf("the answer is %s", line)
	}
	if got := r.commands(); len(got) > 0 {
		t.Errorf("the trainer got %v", got)
	}
}

// Replies whose client was killed don't pile up.
func TestRepliesThatNobodyReadsAreRemoved(t *testing.T) {
	folder := t.TempDir()
	dir := filepath.Join(folder, commandFolder)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1" + commandSuffix, "2" + takenSuffix} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"id":1,"cmd":"stop"}`+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	none := func(r Request) error {
		t.Errorf("the trainer got %v", r)
		return nil
	}
	files := func() int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	synctest.Test(t, func(t *testing.T) {
		openInbox(folder)
		in := openInbox(folder) // knows the other's replies
		time.Sleep(replyKept - 1)
		in.look(none)
		if n := files(); n != 2 {
			t.Errorf("%d files, want the 2 replies", n)
		}
		time.Sleep(time.Nanosecond)
		in.look(none)
		if n := files(); n != 0 {
			t.Errorf("%d files are left", n)
		}
	})
}

func TestCommandFilesAreChecked(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"1.json": "garbage\n", "2.json": `{"id":1,"cmd":"events"}`, "3.json": `{"id":1,"cmd":"lr","rate":-1}`,
		"4.json": `{"id":1,"cmd":"pause"}`, ".5.json.tmp": `{"id":1,"cmd":"stop"}`, "6.json": strings.Repeat(" ", MaxRequest+1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "7.json")); err != nil {
		t.Fatal(err)
	}
	var got []Verb
	in := &inbox{dir: dir, replies: map[string]time.Time{}}
	in.look(func(r Request) error {
		got = append(got, r.Cmd)
		return nil
	})
	if !slices.Equal(got, []Verb{VerbPause}) {
		t.Errorf("passed on: %v", got)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.json")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// What another user leaves stays where it is: were it taken away, they would think
// that it is obeyed.
func TestCommandsOfOthersAreLeft(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can leave a file of somebody else's")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "1.json")
	if err := os.WriteFile(path, []byte(`{"id":1,"cmd":"stop"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, -1); err != nil {
		t.Fatal(err)
	}
	in := &inbox{dir: dir, replies: map[string]time.Time{}}
	in.look(func(r Request) error {
		t.Errorf("passed on: %v", r)
		return nil
	})
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}
