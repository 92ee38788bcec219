package record

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"cifartui/train/event"
)

// Decoder reads lines of a record, each as [event.Decode] does but those of steps
// faster. The zero value is ready; it is for one goroutine.
type Decoder struct{ steps stepParser }

// Decode reads a line, whose newline is left out.
func (d *Decoder) Decode(line []byte) (event.Event, error) {
	if s := d.steps.parse(line); s != nil {
		return s, nil
	}
	return event.Decode(line)
}

// stepParser reads step lines as this package writes them: a long run has a
// hundred thousand of them, and encoding/json takes ten times as long. What is
// written in any other way (another order of fields, other spaces) it leaves to
// [event.Decode], and what it does read is what Decode reads.
type stepParser struct {
	rest []byte
	bad  bool
	run  string           // the last run's name, so that it is not made anew each line
	pool []event.StepDone // events are made in blocks
}

// parse returns nil for a line that it does not read.
func (p *stepParser) parse(line []byte) *event.StepDone {
	p.rest, p.bad = line, false
	p.key(`{"event":"step","seq":`)
	if p.bad { // the usual reason: another kind of event
		return nil
	}
	var s event.StepDone
	s.Event = event.KindStep
	s.Seq = uint64(p.integer())
	p.key(`,"time":"`)
	s.Time = p.time()
	p.key(`","run":"`)
	s.Run = p.name()
	p.key(`","epoch":`)
	s.Epoch = int(p.integer())
	p.key(`,"step":`)
	s.Step = int(p.integer())
	p.key(`,"steps":`)
	s.Steps = int(p.integer())
	p.key(`,"total":`)
	s.Total = p.integer()
	p.key(`,"count":`)
	s.Count = int(p.integer())
	p.key(`,"loss":`)
	s.Loss = p.float()
	p.key(`,"min_loss":`)
	s.MinLoss = p.float()
	p.key(`,"max_loss":`)
	s.MaxLoss = p.float()
	p.key(`,"acc":`)
	s.Acc = p.float()
	p.key(`,"lr":`)
	s.LR = p.number()
	p.key(`,"images_per_second":`)
	s.ImagesPerSecond = p.number()
	p.key(`,"elapsed":`)
	s.Elapsed = p.number()
	p.key(`,"phases":{"data":`)
	s.Phases.Data = p.number()
	p.key(`,"forward":`)
	s.Phases.Forward = p.number()
	p.key(`,"backward":`)
	s.Phases.Backward = p.number()
	p.key(`,"optimizer":`)
	s.Phases.Optimizer = p.number()
	p.key(`}}`)
	if p.bad || len(p.rest) > 0 {
		return nil
	}
	if len(p.pool) == 0 {
		p.pool = make([]event.StepDone, 64)
	}
	e := &p.pool[0]
	p.pool = p.pool[1:]
	*e = s
	return e
}

// key takes a fixed text off the line.
func (p *stepParser) key(text string) {
	if p.bad || len(p.rest) < len(text) || string(p.rest[:len(text)]) != text {
		p.bad = true
		return
	}
	p.rest = p.rest[len(text):]
}

// digits counts the digits that the line starts with.
func digits(b []byte) int {
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	return n
}

// integer takes a whole number from 0 off the line.
func (p *stepParser) integer() int64 {
	n := digits(p.rest)
	if p.bad || n == 0 || n > 18 || n > 1 && p.rest[0] == '0' {
		p.bad = true
		return 0
	}
	v := int64(0)
	for _, c := range p.rest[:n] {
		v = v*10 + int64(c-'0')
	}
	p.rest = p.rest[n:]
	if v > math.MaxInt { // on 32 bits
		p.bad = true
	}
	return v
}

// number takes a number off the line, in JSON's grammar (strconv's is wider).
func (p *stepParser) number() float64 {
	if p.bad {
		return 0
	}
	b, i := p.rest, 0
	if i < len(b) && b[i] == '-' {
		i++
	}
	n := digits(b[i:])
	if n == 0 || n > 1 && b[i] == '0' {
		p.bad = true
		return 0
	}
	i += n
	if i < len(b) && b[i] == '.' {
		n = digits(b[i+1:])
		if n == 0 {
			p.bad = true
			return 0
		}
		i += 1 + n
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		n = digits(b[i:])
		if n == 0 {
			p.bad = true
			return 0
		}
		i += n
	}
	v, err := strconv.ParseFloat(string(b[:i]), 64)
	if err != nil {
		p.bad = true
		return 0
	}
	p.rest = b[i:]
	return v
}

// float takes a Float off the line.
func (p *stepParser) float() event.Float {
	if p.bad || len(p.rest) == 0 || p.rest[0] != '"' {
		return event.Float(p.number())
	}
	for text, v := range notFinite {
		if bytes.HasPrefix(p.rest, []byte(text)) {
			p.rest = p.rest[len(text):]
			return v
		}
	}
	p.bad = true
	return 0
}

var notFinite = map[string]event.Float{
	`"NaN"`:       event.Float(math.NaN()),
	`"Infinity"`:  event.Float(math.Inf(1)),
	`"-Infinity"`: event.Float(math.Inf(-1)),
}

// name takes a run's name off the line, up to the closing quote. Names with an
// escape or outside ASCII are left to Decode.
func (p *stepParser) name() string {
	if p.bad {
		return ""
	}
	n := 0
	for n < len(p.rest) && p.rest[n] != '"' {
		if c := p.rest[n]; c < ' ' || c > '~' || c == '\\' {
			p.bad = true
			return ""
		}
		n++
	}
	name := p.rest[:n]
	p.rest = p.rest[n:]
	if string(name) != p.run {
		p.run = string(name)
	}
	return p.run
}

// time takes a time in UTC off the line, as RFC 3339 with at most nanoseconds,
// up to the closing quote.
func (p *stepParser) time() time.Time {
	const layout = "2006-01-02T15:04:05"
	if p.bad || len(p.rest) < len(layout)+1 {
		p.bad = true
		return time.Time{}
	}
	b := p.rest
	field := func(at, n int) int {
		v := 0
		for _, c := range b[at : at+n] {
			if c-'0' > 9 {
				p.bad = true
			}
			v = v*10 + int(c-'0')
		}
		return v
	}
	year, month, day := field(0, 4), field(5, 2), field(8, 2)
	hour, minute, second := field(11, 2), field(14, 2), field(17, 2)
	if b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' ||
		month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(month, year) ||
		hour > 23 || minute > 59 || second > 59 {
		p.bad = true
	}
	if p.bad {
		return time.Time{}
	}
	b = b[len(layout):]
	nanos := 0
	if b[0] == '.' {
		n := digits(b[1:])
		if n == 0 || n > 9 {
			p.bad = true
			return time.Time{}
		}
		for i := range 9 {
			nanos *= 10
			if i < n {
				nanos += int(b[1+i] - '0')
			}
		}
		b = b[1+n:]
	}
	if len(b) == 0 || b[0] != 'Z' {
		p.bad = true
		return time.Time{}
	}
	p.rest = b[1:]
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
}

func daysIn(month, year int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
