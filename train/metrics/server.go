package metrics

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// loopback is the address that a --metrics without a host listens on.
const loopback = "127.0.0.1"

// Address completes what a person gave as --metrics: a port ("9100" or ":9100")
// is that port of this machine alone, an address ("0.0.0.0:9100", "box:9100")
// is taken as it is.
func Address(flag string) (string, error) {
	if _, err := strconv.Atoi(flag); err == nil {
		flag = ":" + flag
	}
	host, port, err := net.SplitHostPort(flag)
	if err == nil {
		if n, perr := strconv.ParseUint(port, 10, 16); perr != nil || n > 65535 {
			err = fmt.Errorf("port %q is no number from 0 to 65535", port)
		}
	}
	if err != nil {
		return "", fmt.Errorf("metrics address %q: want :PORT for this machine alone, or HOST:PORT: %w", flag, err)
	}
	if host == "" {
		host = loopback
	}
	return net.JoinHostPort(host, port), nil
}

// A Server serves a page at /metrics.
type Server struct {
	listener net.Listener
	http     *http.Server
	done     chan struct{} // closed when the server has ended
}

// Listen starts to serve page on what a person gave as --metrics; see
// [Address]. The caller closes the server.
func Listen(flag string, page *Page) (*Server, error) {
	address, err := Address(flag)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w: choose another port, or leave --metrics out", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", page)
	mux.Handle("/{$}", http.RedirectHandler("/metrics", http.StatusFound))
	s := &Server{
		listener: l,
		http: &http.Server{
			Handler:           mux,
			ReadHeaderTimeout: 5 * time.Second,
			WriteTimeout:      10 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    16 << 10,
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		// Serve ends by Close alone: accept errors are retried by net/http.
		_ = s.http.Serve(l)
	}()
	return s, nil
}

// URL is where the page is.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() + "/metrics" }

// Close ends the server and its connections.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
