package k8s

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/santhosh-tekuri/jsonschema/v6"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	inference "sigs.k8s.io/gateway-api-inference-extension/api/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	lws "sigs.k8s.io/lws/api/leaderworkerset/v1"
	"sigs.k8s.io/yaml"
)

// schemas are the files of custom resources in the modules that publish them.
var schemas = map[string][2]string{
	"InferencePool": {"sigs.k8s.io/gateway-api-inference-extension",
		"config/crd/bases/inference.networking.k8s.io_inferencepools.yaml"},
	"HTTPRoute":       {"sigs.k8s.io/gateway-api", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"},
	"LeaderWorkerSet": {"sigs.k8s.io/lws", "config/crd/bases/leaderworkerset.x-k8s.io_leaderworkersets.yaml"},
}

// manifest is an object of a file.
type manifest struct {
	file   string
	text   []byte
	object any // a pointer to the published type
}

// kinds are the types that objects are decoded into.
var kinds = map[string]func() any{
	"apps/v1 Deployment":                           func() any { return new(apps.Deployment) },
	"v1 Service":                                   func() any { return new(core.Service) },
	"policy/v1 PodDisruptionBudget":                func() any { return new(policy.PodDisruptionBudget) },
	"autoscaling/v2 HorizontalPodAutoscaler":       func() any { return new(autoscaling.HorizontalPodAutoscaler) },
	"monitoring.coreos.com/v1 PodMonitor":          func() any { return new(monitoring.PodMonitor) },
	"inference.networking.k8s.io/v1 InferencePool": func() any { return new(inference.InferencePool) },
	"gateway.networking.k8s.io/v1 HTTPRoute":       func() any { return new(gateway.HTTPRoute) },
	"leaderworkerset.x-k8s.io/v1 LeaderWorkerSet":  func() any { return new(lws.LeaderWorkerSet) },
}

// manifests decodes all files strictly: a field that the published type does not have is an error.
func manifests(t *testing.T) map[string]manifest {
	t.Helper()
	files, err := filepath.Glob("../../packaging/k8s/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d manifests, %v", len(files), err)
	}
	list := map[string]manifest{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range bytes.Split(text, []byte("\n---\n")) {
			var head struct{ APIVersion, Kind string }
			if err := yaml.Unmarshal(doc, &head); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			make := kinds[head.APIVersion+" "+head.Kind]
			if make == nil {
				t.Errorf("%s: no type for %s %s", f, head.APIVersion, head.Kind)
				continue
			}
			m := manifest{filepath.Base(f), doc, make()}
			if err := yaml.UnmarshalStrict(doc, m.object); err != nil {
				t.Errorf("%s: %v", f, err)
			}
			if _, twice := list[head.Kind]; twice {
				t.Errorf("%s: a second %s", f, head.Kind)
			}
			list[head.Kind] = m
		}
	}
	return list
}

// TestSchemas validates custom resources against the schemas that a cluster would have: required fields, ranges,
// patterns.
func TestSchemas(t *testing.T) {
	all := manifests(t)
	for kind, where := range schemas {
		schema := customSchema(t, where[0], where[1])
		check := func(text []byte) error {
			var object any
			raw, err := yaml.YAMLToJSON(text)
			if err != nil {
				t.Fatal(err)
			}
			if object, err = jsonschema.UnmarshalJSON(bytes.NewReader(raw)); err != nil {
				t.Fatal(err)
			}
			return schema.Validate(object)
		}
		m := all[kind]
		if err := check(m.text); err != nil {
			t.Errorf("%s: %v", m.file, err)
		}
		// The schema notices what is wrong.
		for _, replace := range [][2]string{{"number: 8080", "number: 70000"},
			{"failureMode: FailOpen", "failureMode: Maybe"},
			{"size: 1", "size: one"}, {"type: PathPrefix", "type: Prefix"}, {"value: /v1", "value: 7"}} {
			if bad := strings.Replace(string(m.text), replace[0], replace[1], 1); bad != string(m.text) &&
				check([]byte(bad)) == nil {
				t.Errorf("%s: nothing is wrong with %s", m.file, replace[1])
			}
		}
	}
}

// customSchema compiles the schema of a custom resource, which is a dialect of JSON Schema.
func customSchema(t *testing.T, module, file string) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatalf("%s: %v", module, err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), file))
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Name   string
				Schema struct{ OpenAPIV3Schema map[string]any }
			}
		}
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		t.Fatal(err)
	}
	for _, v := range crd.Spec.Versions {
		if v.Name != "v1" {
			continue
		}
		raw, err := json.Marshal(v.Schema.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft4) // of whose time OpenAPI 3.0 is
		if err := c.AddResource("crd.json", doc); err != nil {
			t.Fatal(err)
		}
		s, err := c.Compile("crd.json")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Fatalf("%s has no version v1", file)
	return nil
}

// of returns the object of a kind.
func of[T any](t *testing.T, all map[string]manifest, kind string) *T {
	t.Helper()
	o, ok := all[kind].object.(*T)
	if !ok {
		t.Fatalf("there is no %s", kind)
	}
	return o
}

// selects reports whether a selector matches the labels of pods, and has any.
func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

// TestTogether checks that what selects pods selects ours, that ports are there, and that pods have the time to stop.
func TestTogether(t *testing.T) {
	all := manifests(t)
	deployment := of[apps.Deployment](t, all, "Deployment")
	set := of[lws.LeaderWorkerSet](t, all, "LeaderWorkerSet")
	pods := deployment.Spec.Template
	if !selects(deployment.Spec.Selector.MatchLabels, pods.Labels) {
		t.Error("the deployment does not select its own pods")
	}
	a, _ := json.Marshal(pods.Spec)
	b, _ := json.Marshal(set.Spec.LeaderWorkerTemplate.WorkerTemplate.Spec)
	if !bytes.Equal(a, b) || !selects(pods.Labels, set.Spec.LeaderWorkerTemplate.WorkerTemplate.Labels) {
		t.Errorf("the pods of deployment and set differ:\n%s\n%s", a, b)
	}
	monitor := of[monitoring.PodMonitor](t, all, "PodMonitor")
	pool := of[inference.InferencePool](t, all, "InferencePool")
	poolLabels := map[string]string{}
	for k, v := range pool.Spec.Selector.MatchLabels {
		poolLabels[string(k)] = string(v)
	}
	for name, selector := range map[string]map[string]string{
		"Service": of[core.Service](t, all, "Service").Spec.Selector, "PodMonitor": monitor.Spec.Selector.MatchLabels,
		"InferencePool":       poolLabels,
		"PodDisruptionBudget": of[policy.PodDisruptionBudget](t, all, "PodDisruptionBudget").Spec.Selector.MatchLabels,
	} {
		if !selects(selector, pods.Labels) {
			t.Errorf("%s selects %v, pods have %v", name, selector, pods.Labels)
		}
	}
	c := pods.Spec.Containers[0]
	port := c.Ports[0]
	if p := monitor.Spec.PodMetricsEndpoints[0].Port; p == nil || *p != port.Name {
		t.Error("the monitor has another port than the pods")
	}
	if n := pool.Spec.TargetPorts[0].Number; int32(n) != port.ContainerPort ||
		!slices.Contains(c.Args, fmt.Sprintf("--port=%d", n)) {
		t.Errorf("port %d of the pool, %d of the container, arguments %v", n, port.ContainerPort, c.Args)
	}
	if target := of[core.Service](t, all, "Service").Spec.Ports[0].TargetPort.StrVal; target != port.Name {
		t.Errorf("the service has port %q", target)
	}
	scale := of[autoscaling.HorizontalPodAutoscaler](t, all, "HorizontalPodAutoscaler")
	if r := scale.Spec.ScaleTargetRef; r.Name != deployment.Name || r.Kind != "Deployment" ||
		r.APIVersion != deployment.APIVersion {
		t.Errorf("the autoscaler scales %+v", r)
	}
	route := of[gateway.HTTPRoute](t, all, "HTTPRoute")
	if r := route.Spec.Rules[0].BackendRefs[0]; string(r.Name) != pool.Name ||
		string(*r.Group) != strings.Split(pool.APIVersion, "/")[0] || string(*r.Kind) != pool.Kind {
		t.Errorf("the route leads to %+v", r)
	}
	var stopping time.Duration
	for _, arg := range c.Args {
		for _, flag := range []string{"--drain-delay=", "--grace="} {
			if v, ok := strings.CutPrefix(arg, flag); ok {
				d, err := time.ParseDuration(v)
				if err != nil {
					t.Error(err)
				}
				stopping += d
			}
		}
	}
	if grace := time.Duration(*pods.Spec.TerminationGracePeriodSeconds) * time.Second; stopping == 0 ||
		grace < stopping+5*time.Second {
		t.Errorf("pods get %v to stop, and may take %v", grace, stopping)
	}
	mounted := map[string]bool{}
	for _, m := range c.VolumeMounts {
		mounted[m.Name] = true
	}
	for _, v := range pods.Spec.Volumes {
		if !mounted[v.Name] {
			t.Errorf("volume %s is not mounted", v.Name)
		}
		delete(mounted, v.Name)
	}
	if len(mounted) > 0 {
		t.Errorf("no volumes for %v", mounted)
	}
}
