package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"cifartui/train/event"
)

// Version is the protocol's version. It grows when an old client would
// misunderstand a new server; new optional fields do not change it.
const Version = 1

// The longest lines, newline left out. A client that sends a longer request is
// cut off; the server's own longest line is an evaluation with its images.
const (
	MaxRequest = 64 << 10
	MaxMessage = 16 << 20
)

// The bounds on what a request may name.
const (
	maxRunName = 255
	maxWhy     = 200
	maxSince   = 1024
	maxID      = 1 << 53 // every JSON reader keeps integers up to here
)

// Verb is what a request asks for.
type Verb string

// The closed set of verbs.
const (
	VerbStatus Verb = "status" // how the runs stand
	VerbEvents Verb = "events" // all events after Since, then the live ones
	VerbPause  Verb = "pause"
	VerbResume Verb = "resume"
	VerbSave   Verb = "save"
	VerbStop   Verb = "stop"   // after a batch or an epoch
	VerbLR     Verb = "lr"     // set the learning rate
	VerbDetach Verb = "detach" // leave the terminal: hand over to a process in the background
)

// Hello is the first line a server sends.
type Hello struct {
	// Hello is the server's protocol version.
	Hello int `json:"hello"`
	// Run names the run (or the comparison) and PID the process that trains it.
	Run string `json:"run"`
	PID int    `json:"pid"`
}

// Request is one line from a client.
type Request struct {
	// ID comes back in the reply: from 1 to 2^53.
	ID  uint64 `json:"id"`
	Cmd Verb   `json:"cmd"`
	// Run names the run that is meant; "" means every run of the process.
	Run string `json:"run,omitempty"`
	// Why goes into the event log as the reason: "ctl" when left out.
	Why string `json:"why,omitempty"`
	// Wait asks for the reply only when the command has taken effect.
	Wait bool `json:"wait,omitempty"`
	// After is where a stop takes effect: batch (when left out) or epoch.
	After event.Boundary `json:"after,omitempty"`
	// Rate is the learning rate, above 0.
	Rate *float64 `json:"rate,omitempty"`
	// Since holds, for "events", the last sequence number already known of each
	// run; a run that is not named is told from its start.
	Since map[string]uint64 `json:"since,omitempty"`
}

// Code says what kind of error a reply tells of.
type Code string

// The kinds of errors.
const (
	CodeBad     Code = "bad_request" // the line is no request of this protocol
	CodeRefused Code = "refused"     // the run would not take the command
	CodeEnded   Code = "ended"       // the run ended before the command took effect
	CodeFull    Code = "full"        // too many clients, or too many requests waiting
	CodeUnknown Code = "unknown"     // whether a command left as a file was obeyed is not known
)

// Reply answers the request whose ID it carries. A line that is no request at
// all is answered with the number 0.
type Reply struct {
	Reply uint64 `json:"reply"`
	OK    bool   `json:"ok"`
	// Error and Code say why not.
	Error string `json:"error,omitempty"`
	Code  Code   `json:"code,omitempty"`
	// Status answers "status": one entry for each run of the process.
	Status []Status `json:"status,omitempty"`
}

// Err returns the reply's error, nil when it is good.
func (r Reply) Err() error {
	if r.OK {
		return nil
	}
	return &ReplyError{Code: r.Code, Message: r.Error}
}

// ReplyError is an error that the server answered with.
type ReplyError struct {
	Code    Code
	Message string
}

func (e *ReplyError) Error() string { return e.Message }

// errGarbage is what is no request of any version: its sender is cut off.
var errGarbage = errors.New("not a JSON object on one line")

// ParseRequest reads one line from a client, its newline left out. It accepts
// only what this version knows: an unknown field or verb, a field that does not
// belong to the verb and a value out of its range are errors. On an error the
// request holds the ID if there was one to be read.
func ParseRequest(line []byte) (Request, error) {
	if len(line) > MaxRequest {
		return Request{}, fmt.Errorf("a line of more than %d bytes: %w", MaxRequest, errGarbage)
	}
	if start := bytes.TrimLeft(line, " \t"); len(start) == 0 || start[0] != '{' || !utf8.Valid(line) || !json.Valid(line) {
		return Request{}, errGarbage
	}
	var r Request
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Request{ID: salvageID(line)}, fmt.Errorf("not a request: %w", err)
	}
	return r, r.Validate()
}

// salvageID reads the ID from a line that is a JSON object but no request, so
// that the error can be answered under it; 0 if there is none.
func salvageID(line []byte) uint64 {
	var r struct {
		ID uint64 `json:"id"`
	}
	if json.Unmarshal(line, &r) != nil || r.ID > maxID {
		return 0
	}
	return r.ID
}

// Validate checks every field against the verb.
func (r Request) Validate() error {
	if r.ID == 0 || r.ID > maxID {
		return errors.New("id: want a number from 1 to 2^53")
	}
	if err := checkText("run", r.Run, maxRunName); err != nil {
		return err
	}
	if err := checkText("why", r.Why, maxWhy); err != nil {
		return err
	}
	var command, rate, after, since bool
	switch r.Cmd {
	case VerbStatus:
	case VerbEvents:
		since = true
	case VerbPause, VerbResume, VerbSave, VerbDetach:
		command = true
	case VerbStop:
		command, after = true, true
	case VerbLR:
		command, rate = true, true
	case "":
		return errors.New("cmd: missing")
	default:
		return fmt.Errorf("cmd: no command %.40q: there are status, events, pause, resume, save, stop, lr and detach", string(r.Cmd))
	}
	belongs := func(field string, set, ok bool) error {
		if set && !ok {
			return fmt.Errorf("%s: does not belong to %q", field, string(r.Cmd))
		}
		return nil
	}
	if err := errors.Join(
		belongs("wait", r.Wait, command),
		belongs("why", r.Why != "", command),
		belongs("run", r.Run != "", r.Cmd != VerbEvents && r.Cmd != VerbDetach),
		belongs("after", r.After != "", after),
		belongs("rate", r.Rate != nil, rate),
		belongs("since", r.Since != nil, since),
	); err != nil {
		return err
	}
	switch {
	case r.After != "" && r.After != event.AfterBatch && r.After != event.AfterEpoch:
		return fmt.Errorf("after: %.40q: want batch or epoch", string(r.After))
	case rate && r.Rate == nil:
		return errors.New("rate: missing")
	case rate && !(*r.Rate > 0 && !math.IsInf(*r.Rate, 1)):
		return fmt.Errorf("rate: %g: want a number above 0", *r.Rate)
	case len(r.Since) > maxSince:
		return fmt.Errorf("since: more than %d runs", maxSince)
	}
	return nil
}

// checkText bounds what a client may have written into the event log.
func checkText(field, s string, most int) error {
	if len(s) > most {
		return fmt.Errorf("%s: more than %d bytes", field, most)
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("%s: holds a control character", field)
	}
	return nil
}

// Command makes the trainer's command of a request that asks for one; nil for
// the verbs that the server itself answers.
func (r Request) Command() event.Command {
	to := event.To{Run: r.Run, Why: r.Why}
	if to.Why == "" {
		to.Why = "ctl"
	}
	switch r.Cmd {
	case VerbPause:
		return event.Pause{To: to}
	case VerbResume:
		return event.Resume{To: to}
	case VerbSave:
		return event.Save{To: to}
	case VerbStop:
		after := r.After
		if after == "" {
			after = event.AfterBatch
		}
		return event.Stop{To: to, After: after}
	case VerbLR:
		return event.SetLearnRate{To: to, Rate: *r.Rate}
	}
	return nil
}

// RequestFor makes the request that asks for a command. Its ID is 1.
func RequestFor(c event.Command) (Request, error) {
	r := Request{ID: 1}
	var to event.To
	switch c := c.(type) {
	case event.Pause:
		r.Cmd, to = VerbPause, c.To
	case event.Resume:
		r.Cmd, to = VerbResume, c.To
	case event.Save:
		r.Cmd, to = VerbSave, c.To
	case event.Stop:
		r.Cmd, to, r.After = VerbStop, c.To, c.After
	case event.Detach:
		r.Cmd, to.Why = VerbDetach, c.Why
	case event.SetLearnRate:
		r.Cmd, to, r.Rate = VerbLR, c.To, &c.Rate
	default:
		return r, fmt.Errorf("a command %T cannot be sent to another process", c)
	}
	r.Run, r.Why = to.Run, to.Why
	return r, r.Validate()
}

// message tells the lines that a server sends apart: a hello, a reply, the mark
// that the past is told, or else an event.
type message struct {
	Hello *int    `json:"hello"`
	Reply *uint64 `json:"reply"`
	Live  bool    `json:"live"`
}

// liveLine is sent once the past is told: what follows is as it happens.
const liveLine = `{"live":true}` + "\n"

// encodeLine makes one line of a message.
func encodeLine(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("control: encode %T: %w", v, err)
	}
	return append(b, '\n'), nil
}
