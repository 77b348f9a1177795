package runs

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// EpochEnd is what both programs tell at an epoch's end, and when it was heard.
type EpochEnd struct {
	Epoch int32
	Step  int64 // steps so far
	Loss  float64
	At    time.Time
}

// parse a line; others than those of an epoch's end are not ok. simclr-trainer's have a msg, the peer's have none.
func parse(line []byte, at time.Time) (e EpochEnd, ok bool) {
	var l struct {
		Msg string
		EpochEnd
	}
	if json.Unmarshal(line, &l) != nil || (l.Msg != "" && l.Msg != "epoch") || l.Epoch < 1 || l.Step < 1 {
		return e, false
	}
	l.At = at
	return l.EpochEnd, true
}

// imagesPerSecond of each epoch but the first: from the end of the one before to its own.
func imagesPerSecond(ends []EpochEnd, batch int32) []float64 {
	var rates []float64
	for i := 1; i < len(ends); i++ {
		images := (ends[i].Step - ends[i-1].Step) * int64(batch)
		rates = append(rates, float64(images)/ends[i].At.Sub(ends[i-1].At).Seconds())
	}
	return rates
}

// usage of a process that has ended.
type usage struct {
	epochs time.Duration // from its start to its last epoch's end
	wall   time.Duration
	maxRSS int64 // bytes of the process, or of the largest of its children
}

// Command in a process group of its own, which ends with the context: Python's loader workers with it.
func Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// execute runs a program and tells of its epochs' ends; it is stopped when each gives false.
func execute(ctx context.Context, args []string, each func(EpochEnd) bool) (usage, error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	cmd := Command(running, args...)
	r, w, err := os.Pipe()
	if err != nil {
		return usage{}, err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	start := time.Now()
	if err := errors.Join(cmd.Start(), w.Close()); err != nil { // the program has its own end of the pipe
		return usage{}, err
	}
	var u usage
	last := listen(r, func(e EpochEnd) {
		u.epochs = e.At.Sub(start)
		if !each(e) {
			stop()
		}
	})
	err = cmd.Wait()
	u.wall = time.Since(start)
	switch {
	case ctx.Err() != nil:
		return u, errors.New("interrupted")
	case running.Err() != nil: // as each wanted it
		return u, nil
	case err != nil:
		return u, fmt.Errorf("%w:\n%s", err, strings.Join(last, "\n"))
	}
	if ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.maxRSS = ru.Maxrss << 10
	}
	return u, nil
}

// listen to a program until its end. It gives the last lines that were no epoch's end, for the error.
func listen(r io.Reader, each func(EpochEnd)) (last []string) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if e, ok := parse(lines.Bytes(), time.Now()); ok {
			each(e)
			continue
		}
		if last = append(last, lines.Text()); len(last) > 20 {
			last = last[1:]
		}
	}
	return last
}
