//go:build linux && (amd64 || arm64)

package opship

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/drv"
	"github.com/hipengine/hipengine/ops_hip/internal/kfd/fake"
)

// KFDFakeMemory is the device memory of the cards of OpenKFDFake.
const KFDFakeMemory = 4 << 30

// OpenKFDFake opens the device "kfdfake:TARGET", which only tests have: the KFD driver on a machine that is a fake, with
// all of its checks. At the end of the test nothing may be left over, and no rule may have been broken.
func OpenKFDFake(t testing.TB, name string, cfg fake.Config) (*Device, *fake.Machine) {
	t.Helper()
	target, ok := strings.CutPrefix(name, "kfdfake:")
	if !ok {
		t.Fatalf("device %q is not kfdfake:TARGET", name)
	}
	if cfg.GPUs == nil {
		card := fake.Card(target)
		card.VRAM, card.GTT = KFDFakeMemory, KFDFakeMemory
		cfg.GPUs = []fake.GPU{card}
	}
	m := fake.New(cfg)
	rt, err := hiprt.NewKFD(m, drv.Options{Lookup: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	dev, err := openOn(rt, name, 0, FromEnv())
	if err != nil {
		t.Fatal(fmt.Errorf("%w; %v", err, m.Violations()))
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
		if err := hiprt.CloseKFD(rt); err != nil {
			t.Error(err)
		}
		for _, v := range m.Shutdown() {
			t.Errorf("kfd fake: %v", v)
		}
	})
	return dev, m
}
