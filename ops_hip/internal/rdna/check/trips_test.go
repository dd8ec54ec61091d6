package check

import "testing"

func TestTrips(t *testing.T) {
	var c Trips
	now := func(loads, fresh uint64) {
		t.Helper()
		if got := c.Now(); got != (Chain{loads, fresh}) {
			t.Errorf("%+v, want %d loads, %d fresh", got, loads, fresh)
		}
	}
	c.Load(true)
	c.Load(false)
	c.Load(true)
	c.Wait(3) // says nothing
	now(0, 0)
	c.Wait(2)
	now(1, 1)
	c.Wait(0) // they were issued together
	now(1, 1)
	c.Load(false) // a cache has it
	c.Wait(0)
	now(2, 1)
	c.Load(true)
	c.Load(false) // comes back in order, after the one before
	c.Wait(1)
	now(3, 2)
	c.Load(true) // while the last one is still in flight
	c.Wait(1)
	now(3, 2)
	c.Wait(0)
	now(4, 3)
	c.Load(false)
	c.Pass() // an invalidation counts with the loads
	c.Wait(1)
	now(5, 3)
	c.Pass()
	c.Wait(0)
	now(5, 3)
	c.Load(true)
	now(5, 3)
	c.Reset()
	c.Wait(0)
	now(0, 0)
}
