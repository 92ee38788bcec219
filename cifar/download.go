package cifar

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// An origin says which file a partial download is a part of.
type origin struct {
	URL string `json:"url"`
	// Validator is the server's strong ETag or its Last-Modified, for
	// If-Range; "" if it sent neither.
	Validator string `json:"validator"`
}

// A finalError is one that another try would only meet again.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

// A busyError is a server's wish to be asked later.
type busyError struct {
	status string
	after  time.Duration // 0 if the server didn't say
}

func (e *busyError) Error() string { return "the server answers " + e.status }

// errStalled is the cause of a transfer that was broken off.
var errStalled = errors.New("no byte came")

// longest is the longest wait between two tries.
const longest = 30 * time.Second

// download brings the archive to part, in as many tries as it takes while they
// come farther. It reports whether the file was put together from more than
// one transfer.
func (o FetchOptions) download(ctx context.Context, part string, m *meter) (resumed bool, err error) {
	if u, err := url.Parse(o.URL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return false, fmt.Errorf("cifar: fetch %q: want an address that begins with https:// or http://", o.URL)
	}
	farthest := int64(0) // byte that a try came to
	for failures := 0; ; {
		at, end, err := o.transfer(ctx, part, m)
		if err == nil {
			return at > 0, nil
		}
		if ctx.Err() != nil {
			return false, fmt.Errorf("cifar: fetch %s: %w", o.URL, ctx.Err())
		}
		if dns := (*net.DNSError)(nil); errors.As(err, &dns) && dns.IsNotFound {
			return false, fmt.Errorf("cifar: fetch %s: %w: %s", o.URL, err, o.otherWays())
		}
		if final := (*finalError)(nil); errors.As(err, &final) {
			return false, fmt.Errorf("cifar: fetch %s: %w", o.URL, err)
		}
		if end > farthest+o.layout.archiveSize/100 { // it moves: be patient
			farthest, failures = end, 0
		}
		failures++
		if failures >= o.Tries {
			return false, fmt.Errorf("cifar: fetch %s: gave up after %d tries: %w: %s", o.URL, failures, err, o.otherWays())
		}
		wait := min(o.Backoff<<(failures-1), longest)
		if busy := (*busyError)(nil); errors.As(err, &busy) && busy.after > 0 {
			wait = min(busy.after, longest)
		}
		m.note(StageRetry, end, o.layout.archiveSize, fmt.Sprintf("%v: trying again in %v", err, wait))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false, fmt.Errorf("cifar: fetch %s: %w", o.URL, ctx.Err())
		}
	}
}

// otherWays says what a person can do whose network doesn't do it.
func (o FetchOptions) otherWays() string {
	return fmt.Sprintf("check the network, name another place with --data-url, or put %s into %s by hand", o.layout.archive, o.CacheDir)
}

// transfer asks once for what is missing of part. It returns the byte it began
// at and the one it came to.
func (o FetchOptions) transfer(ctx context.Context, part string, m *meter) (at, end int64, err error) {
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return 0, 0, &finalError{err}
	}
	defer f.Close()
	from, at, err := o.standing(f)
	if err != nil {
		return 0, 0, &finalError{err}
	}
	if at == o.layout.archiveSize {
		return at, at, nil
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(o.Stall, func() { cancel(fmt.Errorf("%w for %v", errStalled, o.Stall)) })
	defer watch.Stop()

	resp, err := o.ask(ctx, from, at)
	if err != nil {
		return at, at, err
	}
	defer func() { _ = resp.Body.Close() }() // read or given up, both are told by Read
	if at, err = o.accept(resp, f, at); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return at, at, err
	}

	m.start(StageDownload, at, o.layout.archiveSize)
	missing := o.layout.archiveSize - at
	body := &watchedReader{r: io.LimitReader(resp.Body, missing+1), watch: watch, stall: o.Stall}
	n, err := io.Copy(f, &meteredReader{ctx, body, m})
	m.flush()
	end = at + n
	switch {
	case err != nil && context.Cause(ctx) != nil:
		return at, end, fmt.Errorf("at byte %s of %s: %w", commas(end), commas(o.layout.archiveSize), context.Cause(ctx))
	case body.err != nil:
		return at, end, fmt.Errorf("the connection broke at byte %s of %s: %w", commas(end), commas(o.layout.archiveSize), body.err)
	case err != nil: // of the disk
		return at, end, &finalError{fmt.Errorf("%w: make room, or set XDG_CACHE_HOME to a folder with 400 MB free", err)}
	case n > missing:
		_ = f.Truncate(0) // else the next transfer does it
		return at, end, &finalError{fmt.Errorf("the server sends more than the archive's %s bytes: it is another file: name another place with --data-url", commas(o.layout.archiveSize))}
	case n < missing:
		return at, end, fmt.Errorf("the connection ended at byte %s of %s", commas(end), commas(o.layout.archiveSize))
	}
	if err := f.Sync(); err != nil {
		return at, end, &finalError{err}
	}
	return at, end, nil
}

// standing returns what is known of the bytes that f has, and leaves f ready
// to be written behind them. Bytes of another file are thrown away.
func (o FetchOptions) standing(f *os.File) (from origin, at int64, err error) {
	b, err := os.ReadFile(originFile(f))
	known := err == nil && json.Unmarshal(b, &from) == nil && from.URL == o.URL
	if at, err = f.Seek(0, io.SeekEnd); err != nil {
		return from, 0, err
	}
	if !known || at > o.layout.archiveSize {
		return origin{}, 0, restart(f)
	}
	return from, at, nil
}

func originFile(part *os.File) string { return part.Name() + originExt }

// restart empties a file.
func restart(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// ask requests the archive from byte at on.
func (o FetchOptions) ask(ctx context.Context, from origin, at int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL, nil)
	if err != nil {
		return nil, &finalError{err}
	}
	req.Header.Set("User-Agent", "cifartui")
	// Else Go's client would decompress where a server calls the archive a
	// compressed form of something, and the bytes would be others.
	req.Header.Set("Accept-Encoding", "identity")
	if at > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", at))
		if from.Validator != "" {
			req.Header.Set("If-Range", from.Validator)
		}
	}
	resp, err := o.Client.Do(req)
	if err == nil {
		return resp, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if uerr := (*url.Error)(nil); errors.As(err, &uerr) {
		err = uerr.Err // the address stands in the error already
	}
	return nil, err
}

// accept looks at the answer to a request from byte at on and returns the byte
// that it begins at: at, or 0 if the server sends all of the file, in which
// case f is emptied first.
func (o FetchOptions) accept(resp *http.Response, f *os.File, at int64) (int64, error) {
	want := o.layout.archiveSize
	switch code := resp.StatusCode; {
	case code == http.StatusPartialContent && at > 0:
		begin, total, err := parseContentRange(resp.Header.Get("Content-Range"))
		if err == nil && begin == at && (total < 0 || total == want) {
			return at, nil
		}
		if err := restart(f); err != nil {
			return at, &finalError{err}
		}
		return at, fmt.Errorf("asked for bytes from %s on, the server sends %q", commas(at), resp.Header.Get("Content-Range"))
	case code == http.StatusOK:
		if err := looksLikeArchive(resp); err != nil {
			return at, err
		}
		if resp.ContentLength >= 0 && resp.ContentLength != want {
			return at, &finalError{fmt.Errorf("the server's file has %s bytes, want %s: it is another file: name another place with --data-url", commas(resp.ContentLength), commas(want))}
		}
		if err := restart(f); err != nil {
			return at, &finalError{err}
		}
		b, err := json.Marshal(origin{URL: o.URL, Validator: validator(resp.Header)})
		if err == nil {
			err = os.WriteFile(originFile(f), b, 0o644)
		}
		if err != nil {
			return 0, &finalError{err}
		}
		return 0, nil
	case code == http.StatusRequestedRangeNotSatisfiable && at > 0:
		if err := restart(f); err != nil {
			return at, &finalError{err}
		}
		return at, fmt.Errorf("the server has nothing from byte %s on", commas(at))
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return at, &busyError{resp.Status, time.Duration(max(seconds, 0)) * time.Second}
	}
	return at, &finalError{fmt.Errorf("the server answers %s: name another place with --data-url", resp.Status)}
}

// looksLikeArchive is an error if an answer begins with something else than a
// compressed file: a network that wants a login first answers every request
// with its own page, and what is there of the archive must survive that.
func looksLikeArchive(resp *http.Response) error {
	body := bufio.NewReader(resp.Body)
	head, err := body.Peek(2)
	resp.Body = struct {
		io.Reader
		io.Closer
	}{body, resp.Body}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // "" if it is none
	switch {
	case err != nil:
		return fmt.Errorf("the connection ended before the first byte: %w", err)
	case string(head) == "\x1f\x8b":
		return nil
	case kind == "text/html" || head[0] == '<':
		return &finalError{errors.New("the server sends a web page, not the archive: the network may want a login first (open the address in a browser), or name another place with --data-url")}
	}
	return &finalError{fmt.Errorf("the server sends something that is no gzip archive (it begins with %q): name another place with --data-url", head)}
}

// validator returns what a server can recognise its file by: RFC 9110, 13.1.5,
// allows a strong ETag or a date in If-Range.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return h.Get("Last-Modified")
}

// parseContentRange reads "bytes 5-9/10"; total is -1 for "bytes 5-9/*".
func parseContentRange(s string) (begin, total int64, err error) {
	var end int64
	var size string
	if _, err := fmt.Sscanf(s, "bytes %d-%d/%s", &begin, &end, &size); err != nil {
		return 0, 0, fmt.Errorf("Content-Range %q: %w", s, err)
	}
	if size == "*" {
		return begin, -1, nil
	}
	total, err = strconv.ParseInt(size, 10, 64)
	return begin, total, err
}

// A watchedReader puts off a transfer's end by stalling at each byte that
// comes, and remembers its own error, which io.Copy would mix with the disk's.
type watchedReader struct {
	r     io.Reader
	watch *time.Timer
	stall time.Duration
	err   error
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if n > 0 {
		r.watch.Reset(r.stall)
	}
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}
