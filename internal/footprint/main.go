// Command footprint measures what a build of hipengine takes before it does any work: bytes of the file, time to
// start, time until a server with the built-in model is ready, and resident memory then.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	reps := flag.Int("reps", 10, "repetitions, of which medians are printed")
	bound := flag.Duration("max-ready", 0, "fail if the median time until ready is longer; 0 is no bound")
	flag.Parse()
	if flag.NArg() == 0 || *reps < 1 {
		fmt.Fprintln(os.Stderr, "usage: footprint [-reps N] [-max-ready DURATION] PROGRAM...")
		os.Exit(2)
	}
	fmt.Println("| program | size, MB | start, ms | ready with Ember, ms | resident when ready, MB | after an answer, MB |")
	fmt.Println("|---|---|---|---|---|---|")
	failed := false
	for _, program := range flag.Args() {
		ready, err := measure(program, *reps)
		if err != nil {
			fmt.Fprintf(os.Stderr, "footprint: %s: %v\n", program, err)
			failed = true
		} else if *bound > 0 && ready > *bound {
			fmt.Fprintf(os.Stderr, "footprint: %s: ready after %v, more than %v\n", program, ready, *bound)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// measure prints a row for a program, and returns how long its server took to be ready.
func measure(program string, reps int) (time.Duration, error) {
	info, err := os.Stat(program)
	if err != nil {
		return 0, err
	}
	var starts, readies []time.Duration
	var resident, after []int64
	for range reps {
		begin := time.Now()
		if err := exec.Command(program, "version").Run(); err != nil {
			return 0, err
		}
		starts = append(starts, time.Since(begin))
		s, err := serve(program)
		if err != nil {
			return 0, err
		}
		readies, resident, after = append(readies, s.ready), append(resident, s.resident), append(after, s.after)
	}
	fmt.Printf("| %s | %.1f | %.0f | %.0f | %.0f | %.0f |\n", program, float64(info.Size())/1e6,
		milliseconds(median(starts)),
		milliseconds(median(readies)), float64(median(resident))/1e6, float64(median(after))/1e6)
	return median(readies), nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median[T int64 | time.Duration](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}

// server is what was seen of a server.
type server struct {
	ready           time.Duration // from the start of the process until /readyz answers 200
	resident, after int64         // bytes, when ready and after one answer
}

// serve starts a server on the CPU with the model that is built in, asks it once, and stops it.
func serve(program string) (s server, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "serve", "--device", "cpu", "--port", "0", "--log", "none")
	out, err := cmd.StderrPipe()
	if err != nil {
		return s, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return s, err
	}
	defer func() {
		stop := cmd.Process.Signal(syscall.SIGTERM)
		err = errors.Join(err, stop, cmd.Wait())
	}()
	url := ""
	for lines := bufio.NewScanner(out); url == "" && lines.Scan(); {
		url = regexp.MustCompile(`http://[0-9.:]+`).FindString(lines.Text())
	}
	if url == "" {
		return s, errors.New("the server says no address")
	}
	go io.Copy(io.Discard, out)
	for {
		resp, err := http.Get(url + "/readyz")
		if err != nil {
			return s, err
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			break
		}
	}
	s.ready = time.Since(begin)
	if s.resident, err = residentOf(cmd.Process.Pid); err != nil {
		return s, err
	}
	body := `{"model":"ember","messages":[{"role":"user","content":"What is the capital of France?"}]}`
	resp, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return s, err
	}
	if !bytes.Contains(answer, []byte("Paris")) {
		return s, fmt.Errorf("the answer is %s", answer)
	}
	s.after, err = residentOf(cmd.Process.Pid)
	return s, err
}

// residentOf returns the bytes of a process that are in memory.
func residentOf(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, line, _ := strings.Cut(string(status), "VmRSS:")
	words := strings.Fields(line)
	if len(words) == 0 {
		return 0, errors.New("the system does not say what is resident")
	}
	kib, err := strconv.ParseInt(words[0], 10, 64)
	return kib << 10, err
}
