// Package control lets other processes watch and steer a run: it is how a run
// outlives its terminal.
//
// A process that trains opens a [Server] on its run folder. The server listens
// on a Unix socket there and speaks one JSON object a line (PROTOCOL.md). It
// reads the run's events from one subscription, keeps the latest of them in a
// small backlog, and lets every client read the past from events.jsonl and
// then go on in the backlog, at the client's own pace. Nothing a client does,
// or leaves undone, reaches the training goroutine: commands go through
// [event.Controller], whose Send never blocks.
//
// [Dial] is the other end. Its [Client] is a [event.Source] and a
// [event.Controller], so that a screen cannot tell an attached run from its
// own. Where no socket can be had (a network file system, another machine that
// shares the folder) the client follows events.jsonl, read-only, and commands
// are left as files that the server polls: see files.go.
//
// [Find] picks a run by name or the only live one, [Spawn] starts a process
// that belongs to no terminal and waits until it has taken over, [HandOver]
// moves a run from this process to such a one, and [Remote] builds the ssh
// command line for a run on another machine.
//
// # Joining the past to the present
//
// Events are numbered by [event.Header.Seq]. events.jsonl holds every event,
// but with the steps of up to a second merged in one line, which carries the
// number of the last of them and says in Count how many batches it covers; so
// all events up to n are told by the lines up to the one numbered n. A client
// is given lines from the file until the backlog holds every event after the
// last line sent, and from there on the backlog's. Its sequence numbers always
// grow, and a step that covers batches already told (possible only where two
// streams merged steps differently: after the client fell behind the backlog,
// or connected again) has its Count cut down by [Client.Next], so that the
// batches told are each batch once.
package control
