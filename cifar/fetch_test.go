package cifar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A site serves an archive, and may serve it badly.
type site struct {
	*httptest.Server
	archive  []byte
	requests atomic.Int32
	sent     atomic.Int64 // bytes of bodies
	mu       sync.Mutex
	ranges   []string // the Range header of each request
}

// serve starts a site. misbehave, if not nil, may answer the n-th request
// (from 1) itself, and then returns true.
func serve(t *testing.T, archive []byte, misbehave func(n int, w http.ResponseWriter, r *http.Request) bool) *site {
	s := newSite(archive, misbehave)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// newSite is a site that is not started yet.
func newSite(archive []byte, misbehave func(n int, w http.ResponseWriter, r *http.Request) bool) *site {
	s := &site{archive: archive}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(s.requests.Add(1))
		s.mu.Lock()
		s.ranges = append(s.ranges, r.Header.Get("Range"))
		s.mu.Unlock()
		w = &countingWriter{w, &s.sent}
		if misbehave != nil && misbehave(n, w, r) {
			return
		}
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(archive)))
	}))
	return s
}

// pipes is a network in memory: what waits for it waits by the clock of a bubble.
type pipes struct {
	calls  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// startInMemory starts the site on a network of its own, and returns who calls it
// there.
func (s *site) startInMemory(t *testing.T) *http.Client {
	p := &pipes{calls: make(chan net.Conn), closed: make(chan struct{})}
	s.Listener.Close()
	s.Listener = p
	s.Start()
	t.Cleanup(s.Close)
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: p.dial}}
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.calls <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.calls:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.n.Add(int64(len(p)))
	return w.ResponseWriter.Write(p)
}

func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// drop sends a part of the archive, with the whole length promised, and cuts
// the connection.
func drop(w http.ResponseWriter, archive []byte, from, to int) {
	w.Header().Set("ETag", `"v1"`)
	w.Header().Set("Content-Length", strconv.Itoa(len(archive)-from))
	if from > 0 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(archive)-1, len(archive)))
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write(archive[from:to])
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// options returns quick ones for a site's archive and a new cache.
func (s *site) options(t *testing.T) FetchOptions {
	return FetchOptions{
		URL: s.URL + "/cifar-10-binary.tar.gz", CacheDir: filepath.Join(t.TempDir(), "cache"),
		Backoff: time.Millisecond, Stall: 2 * time.Minute, layout: small(s.archive),
	}
}

// checkCache looks whether the cache holds the good files and nothing else.
func checkCache(t *testing.T, o FetchOptions, files map[string][]byte) {
	t.Helper()
	ds, err := o.layout.openPath(context.Background(), filepath.Join(o.CacheDir, batchesDir), newMeter(nil))
	if err != nil {
		t.Fatal(err)
	}
	checkSmall(t, ds, files)
	if names := left(t, o.CacheDir); !slices.Equal(names, []string{lockName, batchesDir}) {
		t.Errorf("the cache holds %q", names)
	}
}

func TestFetchOverBadConnections(t *testing.T) {
	files := randomBatches(smallRecords)
	archive := pack(t, entries(files))
	size := len(archive)
	other := slices.Clone(archive)
	other[size/4]++
	for name, c := range map[string]struct {
		misbehave func(n int, w http.ResponseWriter, r *http.Request) bool
		ranges    []string
	}{
		"good": {nil, []string{""}},
		"drops the connection twice": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				switch n {
				case 1:
					drop(w, archive, 0, size/3)
				case 2:
					drop(w, archive, size/3, size/2)
				}
				return false
			},
			[]string{"", fmt.Sprintf("bytes=%d-", size/3), fmt.Sprintf("bytes=%d-", size/2)},
		},
		"drops it and then ignores ranges": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n == 1 {
					drop(w, archive, 0, size/3)
				}
				w.Write(archive)
				return true
			},
			[]string{"", fmt.Sprintf("bytes=%d-", size/3)},
		},
		"drops it many times, a little further each": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n <= 8 {
					drop(w, archive, size*(n-1)/10, size*n/10)
				}
				return false
			},
			nil,
		},
		"sends another range than asked for": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				switch n {
				case 1:
					drop(w, archive, 0, size/3)
				case 2:
					drop(w, archive, size/4, size/2)
				}
				return false
			},
			[]string{"", fmt.Sprintf("bytes=%d-", size/3), ""},
		},
		"changes the file meanwhile": { // the ETag then differs, and all comes anew
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n == 1 {
					w.Header().Set("ETag", `"v0"`)
					w.Header().Set("Content-Length", strconv.Itoa(size))
					w.Write(other[:size/2])
					http.NewResponseController(w).Flush()
					panic(http.ErrAbortHandler)
				}
				return false
			},
			[]string{"", fmt.Sprintf("bytes=%d-", size/2)},
		},
		"changes the file and doesn't say so": { // the sum tells, and all comes anew
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n == 1 {
					drop(w, other, 0, size/2)
				}
				return false
			},
			[]string{"", fmt.Sprintf("bytes=%d-", size/2), ""},
		},
		"knows no length and closes early": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n == 1 {
					w.Write(archive[:size/2])
					http.NewResponseController(w).Flush() // so that it is sent in chunks
				}
				return n == 1
			},
			nil,
		},
		"is busy at first": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n <= 3 {
					w.WriteHeader([]int{503, 429, 500}[n-1])
				}
				return n <= 3
			},
			[]string{"", "", "", ""},
		},
		"calls the archive an encoding": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Content-Encoding", "gzip")
				return false
			},
			[]string{""},
		},
		"moves it": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n == 1 {
					http.Redirect(w, r, "/elsewhere.tar.gz", http.StatusFound)
				}
				return n == 1
			},
			[]string{"", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, archive, c.misbehave)
			o := s.options(t)
			dir, err := Fetch(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(o.CacheDir, batchesDir); dir != want {
				t.Errorf("the folder is %q, want %q", dir, want)
			}
			checkCache(t, o, files)
			if c.ranges != nil && !slices.Equal(s.ranges, c.ranges) {
				t.Errorf("asked for ranges %q, want %q", s.ranges, c.ranges)
			}
			asked := s.requests.Load()
			if _, err := Fetch(context.Background(), o); err != nil || s.requests.Load() != asked {
				t.Errorf("a second fetch: %v, %d more requests", err, s.requests.Load()-asked)
			}
		})
	}
}

func TestFetchThatCannotSucceedSaysWhyAndLeavesNothing(t *testing.T) {
	archive := pack(t, entries(randomBatches(smallRecords)))
	wrong := slices.Clone(archive)
	wrong[len(wrong)/2]++
	for name, c := range map[string]struct {
		misbehave func(n int, w http.ResponseWriter, r *http.Request) bool
		want      []string
		requests  int32
	}{
		"404": {
			func(n int, w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true },
			[]string{"404 Not Found", "--data-url"}, 1,
		},
		"wrong bytes": {
			func(n int, w http.ResponseWriter, r *http.Request) bool { w.Write(wrong); return true },
			[]string{"SHA-256", small(archive).archiveSum, small(wrong).archiveSum, "--data-url"}, 1,
		},
		"too short": {
			func(n int, w http.ResponseWriter, r *http.Request) bool { w.Write(archive[:1000]); return true },
			[]string{"1,000 bytes, want", "--data-url"}, 1,
		},
		"too long": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Content-Length", strconv.Itoa(len(archive)+1))
				w.Write(append(slices.Clone(archive), 0))
				return true
			},
			[]string{commas(int64(len(archive)+1)) + " bytes, want " + commas(int64(len(archive)))}, 1,
		},
		"too long and of unknown length": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				http.NewResponseController(w).Flush()
				w.Write(append(slices.Clone(archive), 0))
				return true
			},
			[]string{"more than the archive's"}, 1,
		},
		"a page, of a length": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				fmt.Fprint(w, "<!DOCTYPE html><title>Log in</title>")
				return true
			},
			[]string{"a web page, not the archive", "login", "--data-url"}, 1,
		},
		"a page, in chunks": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				http.NewResponseController(w).Flush()
				fmt.Fprint(w, "<!DOCTYPE html><title>Log in</title>")
				return true
			},
			[]string{"a web page, not the archive", "login", "--data-url"}, 1,
		},
		"something else, in chunks": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				http.NewResponseController(w).Flush()
				fmt.Fprint(w, "PK, a zip file")
				return true
			},
			[]string{`no gzip archive (it begins with "PK")`, "--data-url"}, 1,
		},
		"drops the connection at the same byte each time": {
			func(n int, w http.ResponseWriter, r *http.Request) bool {
				drop(w, archive, 0, len(archive)/2)
				return true
			},
			[]string{"gave up after 4 tries", "the connection broke at byte"}, 4,
		},
		"always busy": {
			func(n int, w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(503); return true },
			[]string{"gave up after 4 tries", "503"}, 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, archive, c.misbehave)
			o := s.options(t)
			_, err := Fetch(context.Background(), o)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range append(c.want, s.URL) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q\ndoes not say %q", err, want)
				}
			}
			if n := s.requests.Load(); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
			kept := []string{lockName}
			if strings.Contains(name, "drops") { // to go on from, another time
				kept = append(kept, partName, originName)
			}
			if names := left(t, o.CacheDir); !slices.Equal(names, kept) {
				t.Errorf("left behind: %q, want %q", names, kept)
			}
		})
	}
}

// A network that asks for a login in the middle of a download costs nothing of
// what has come.
func TestAPageLeavesWhatHasCome(t *testing.T) {
	files := randomBatches(smallRecords)
	archive := pack(t, entries(files))
	login := true
	s := serve(t, archive, func(n int, w http.ResponseWriter, r *http.Request) bool {
		switch {
		case n == 1:
			drop(w, archive, 0, len(archive)/2)
		case login:
			http.NewResponseController(w).Flush()
			fmt.Fprint(w, "<html>")
			return true
		}
		return false
	})
	o := s.options(t)
	if _, err := Fetch(context.Background(), o); err == nil || !strings.Contains(err.Error(), "a web page") {
		t.Fatalf("got %v", err)
	}
	login = false
	if _, err := Fetch(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	checkCache(t, o, files)
	if want := fmt.Sprintf("bytes=%d-", len(archive)/2); s.ranges[2] != want {
		t.Errorf("asked for %q, want %q", s.ranges[2], want)
	}
}

func TestStalledTransferIsBrokenOffAndResumed(t *testing.T) {
	files := randomBatches(smallRecords)
	archive := pack(t, entries(files))
	synctest.Test(t, func(t *testing.T) {
		s := newSite(archive, func(n int, w http.ResponseWriter, r *http.Request) bool {
			switch n {
			case 1: // in the middle
				w.Header().Set("ETag", `"v1"`)
				w.Header().Set("Content-Length", strconv.Itoa(len(archive)))
				w.Write(archive[:len(archive)/2])
				http.NewResponseController(w).Flush()
				<-r.Context().Done()
			case 2: // before the first byte
				<-r.Context().Done()
			}
			return n <= 2
		})
		client := s.startInMemory(t)
		o := s.options(t)
		o.Client, o.Stall = client, 20*time.Second
		var notes []string
		o.Progress = func(p Progress) {
			if p.Stage == StageRetry {
				notes = append(notes, p.Note)
			}
		}
		if _, err := Fetch(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		checkCache(t, o, files)
		if len(notes) != 2 || !strings.Contains(notes[0], "no byte came for 20s") || !strings.Contains(notes[1], "no byte came for 20s") {
			t.Errorf("notes %q", notes)
		}
		rest := fmt.Sprintf("bytes=%d-", len(archive)/2)
		if want := []string{"", rest, rest}; !slices.Equal(s.ranges, want) {
			t.Errorf("asked for ranges %q, want %q", s.ranges, want)
		}
	})
}

func TestCancelKeepsWhatCameForTheNextTime(t *testing.T) {
	files := randomBatches(smallRecords)
	archive := pack(t, entries(files))
	half := len(archive) / 2
	ctx, cancel := context.WithCancel(context.Background())
	s := serve(t, archive, func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n > 1 {
			return false
		}
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Length", strconv.Itoa(len(archive)))
		w.Write(archive[:half])
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	})
	o := s.options(t)
	part := filepath.Join(o.CacheDir, partName)
	go func() { // cancel when half has been written
		for {
			if info, err := os.Stat(part); err == nil && info.Size() == int64(half) {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := Fetch(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, err := Fetch(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	checkCache(t, o, files)
	if want := []string{"", fmt.Sprintf("bytes=%d-", half)}; !slices.Equal(s.ranges, want) {
		t.Errorf("asked for ranges %q, want %q", s.ranges, want)
	}
}

func TestPartOfAnotherAddressIsNotContinued(t *testing.T) {
	files := randomBatches(smallRecords)
	s := serve(t, pack(t, entries(files)), nil)
	o := s.options(t)
	writeFiles(t, o.CacheDir, map[string][]byte{
		partName:   []byte("something else"),
		originName: []byte(`{"url":"http://example.org/other","validator":"\"v1\""}`),
	})
	if _, err := Fetch(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	checkCache(t, o, files)
	if !slices.Equal(s.ranges, []string{""}) {
		t.Errorf("asked for ranges %q", s.ranges)
	}
}

func TestTwoFetchesAtOnceDownloadOnce(t *testing.T) {
	files := randomBatches(smallRecords)
	archive := pack(t, entries(files))
	s := serve(t, archive, func(n int, w http.ResponseWriter, r *http.Request) bool {
		time.Sleep(50 * time.Millisecond)
		return false
	})
	o := s.options(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := Fetch(context.Background(), o); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checkCache(t, o, files)
	if n := s.requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestWaitingForTheLockEndsWithItsContext(t *testing.T) {
	name := filepath.Join(t.TempDir(), lockName)
	unlock, err := waitLock(context.Background(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	waited := false
	if _, err := waitLock(ctx, name, func() { waited = true; cancel() }); !errors.Is(err, context.Canceled) || !waited {
		t.Errorf("got %v, waited %v", err, waited)
	}
	unlock()
	again, err := waitLock(context.Background(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestFetchRepairsDamagedCache(t *testing.T) {
	files := randomBatches(smallRecords)
	s := serve(t, pack(t, entries(files)), nil)
	o := s.options(t)
	bad := randomBatches(smallRecords)
	bad["data_batch_1.bin"][0] = 10
	writeFiles(t, filepath.Join(o.CacheDir, batchesDir), bad)
	writeFiles(t, filepath.Join(o.CacheDir, unpackPrefix+"of a killed process"), bad)

	// Opening names the file and how to repair it, and does not download.
	if _, err := o.withDefaults().open(context.Background()); err == nil || !strings.Contains(err.Error(), "data_batch_1.bin: byte 0: label 10") || !strings.Contains(err.Error(), "cifartui data fetch") {
		t.Errorf("opening it: %v", err)
	}
	if s.requests.Load() != 0 {
		t.Error("opening it downloads")
	}
	if _, err := Fetch(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	checkCache(t, o, files)
}

func TestNoServer(t *testing.T) {
	s := serve(t, []byte("never sent"), nil)
	s.Close()
	o := s.options(t)
	if _, err := Fetch(context.Background(), o); err == nil || !strings.Contains(err.Error(), "gave up after 4 tries") {
		t.Errorf("got %v", err)
	}
	o.URL = "ftp://example.org/x"
	if _, err := Fetch(context.Background(), o); err == nil || !strings.Contains(err.Error(), "https://") {
		t.Errorf("got %v", err)
	}
}

func TestContentRange(t *testing.T) {
	for s, want := range map[string][2]int64{"bytes 5-9/10": {5, 10}, "bytes 0-0/*": {0, -1}, "bytes 170052170-170052170/170052171": {170052170, 170052171}} {
		if begin, total, err := parseContentRange(s); err != nil || begin != want[0] || total != want[1] {
			t.Errorf("%q: %d, %d, %v", s, begin, total, err)
		}
	}
	for _, s := range []string{"", "bytes */10", "bytes 5-9", "bytes 5-9/x", "pages 1-2/3"} {
		if _, _, err := parseContentRange(s); err == nil {
			t.Errorf("%q is no error", s)
		}
	}
}
