package k8s

import (
	"bufio"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
)

// TestServer starts the server that the manifests mean: it takes their flags, answers their probes, and offers the
// metrics that the autoscaler and the endpoint picker read.
func TestServer(t *testing.T) {
	all := manifests(t)
	program := filepath.Join(t.TempDir(), "hipengine")
	build := exec.Command("go", "build", "-o", program, "./cmd/hipengine")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := of[apps.Deployment](t, all, "Deployment").Spec.Template.Spec.Containers[0]
	settings, err := exec.Command(program, append([]string{"config"}, c.Args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("the program refuses %v: %v\n%s", c.Args, err, settings)
	}
	for _, arg := range c.Args {
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if arg[0] == '-' && !regexp.MustCompile(`(?m)^`+name+` .* flag$`).Match(settings) {
			t.Errorf("%s is no flag in\n%s", arg, settings)
		}
	}
	server := exec.Command(program, "serve", "--device", "cpu", "--port", "0", "--log", "none")
	out, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGTERM)
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
	})
	url := ""
	for lines := bufio.NewScanner(out); url == "" && lines.Scan(); {
		url = regexp.MustCompile(`http://[0-9.:]+`).FindString(lines.Text())
	}
	go io.Copy(io.Discard, out)
	get := func(path string) string {
		t.Helper()
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s, %v", path, resp.StatusCode, body, err)
		}
		return string(body)
	}
	for _, p := range []*core.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		get(p.HTTPGet.Path)
	}
	metrics := get("/metrics")
	names := []string{"vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:kv_cache_usage_perc",
		"vllm:cache_config_info"}
	for _, m := range of[autoscaling.HorizontalPodAutoscaler](t, all, "HorizontalPodAutoscaler").Spec.Metrics {
		names = append(names, m.Pods.Metric.Name)
	}
	for _, name := range names {
		if !strings.Contains(metrics, "\n"+name+"{") {
			t.Errorf("no metric %s", name)
		}
	}
}
