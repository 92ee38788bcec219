package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// answerLimit is how long a client waits for a server that should answer at
// once.
const answerLimit = 5 * time.Second

// conn is a client's connection. It is used by one goroutine.
type conn struct {
	*net.UnixConn
	hello Hello
	buf   []byte // read and not yet used
}

// connect reaches the process that trains in a run folder.
func connect(ctx context.Context, folder string) (*conn, error) {
	path, err := findSocket(folder)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	c := &conn{UnixConn: nc.(*net.UnixConn)}
	err = peerIsSelf(c.UnixConn)
	if err == nil {
		err = c.greet(ctx)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// greet reads the server's hello.
func (c *conn) greet(ctx context.Context) error {
	line, err := c.line(ctx)
	if err != nil {
		return fmt.Errorf("wait for the run's greeting: %w", err)
	}
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return fmt.Errorf("read the run's greeting: %w", err)
	}
	if err := badReply(line); err != nil {
		return err
	}
	if err := json.Unmarshal(line, &c.hello); err != nil || c.hello.Hello < 1 {
		return errors.New("what listens at the run's socket is no cifartui")
	}
	if c.hello.Hello != Version {
		return fmt.Errorf("the run speaks version %d of the control protocol, this program version %d: use the program that the run was started with", c.hello.Hello, Version)
	}
	return nil
}

// line returns the next line, its newline left out, valid until the next call.
// Nothing is lost when ctx ends: a later call goes on.
func (c *conn) line(ctx context.Context) ([]byte, error) {
	searched := 0
	for {
		if line, ok := c.buffered(searched); ok {
			return line, nil
		}
		searched = len(c.buf)
		if searched > MaxMessage {
			return nil, fmt.Errorf("a line of more than %d bytes from the run", MaxMessage)
		}
		if cap(c.buf)-len(c.buf) < 4096 {
			c.buf = append(make([]byte, 0, 2*len(c.buf)+chunk), c.buf...)
		}
		n, err := c.read(ctx, c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// buffered returns the next line if it has been read already.
func (c *conn) buffered(from int) ([]byte, bool) {
	i := bytes.IndexByte(c.buf[from:], '\n')
	if i < 0 {
		return nil, false
	}
	line := c.buf[:from+i]
	c.buf = c.buf[from+i+1:]
	return line, true
}

// read is Read, ended by ctx.
func (c *conn) read(ctx context.Context, p []byte) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = c.SetReadDeadline(time.Unix(1, 0)) // fails on a closed connection, whose Read ends anyway
	})
	n, err := c.Read(p)
	if !stop() {
		<-interrupted
		_ = c.SetReadDeadline(time.Time{})
		if n == 0 {
			return 0, ctx.Err()
		}
	}
	return n, err
}

// send writes one request.
func (c *conn) send(r Request) error {
	line, err := encodeLine(r)
	if err != nil {
		return err
	}
	if err := c.SetWriteDeadline(time.Now().Add(answerLimit)); err != nil {
		return err
	}
	_, err = c.Write(line)
	return err
}

// reply waits for the reply to a request.
func (c *conn) reply(ctx context.Context, id uint64) (Reply, error) {
	for {
		line, err := c.line(ctx)
		if errors.Is(err, io.EOF) {
			return Reply{}, errors.New("the run ended, or broke off, before it answered")
		}
		if err != nil {
			return Reply{}, err
		}
		if r, ok := readReply(line); ok && (r.Reply == id || r.Reply == 0) {
			return r, r.Err()
		}
	}
}

// readReply reads a line that is a reply; ok is false for any other.
func readReply(line []byte) (r Reply, ok bool) {
	var m message
	if isEvent(line) || json.Unmarshal(line, &m) != nil || m.Reply == nil {
		return r, false
	}
	return r, json.Unmarshal(line, &r) == nil
}

// badReply returns the error that a line tells of, if it is a reply that does.
func badReply(line []byte) error {
	r, _ := readReply(line)
	if r.Code == "" {
		return nil
	}
	return r.Err()
}

// isEvent tells an event's line from the others, which begin otherwise.
func isEvent(line []byte) bool { return bytes.HasPrefix(line, []byte(`{"event":`)) }
