package index

import "fmt"

// CheckExperts returns an error unless all ids name one of n experts.
func CheckExperts(ids []int32, n int) error {
	for i, e := range ids {
		if e < 0 || int(e) >= n {
			return fmt.Errorf("expert %d at %d is outside 0..%d", e, i, n-1)
		}
	}
	return nil
}

// CheckSomeExperts returns an error unless all ids are negative, which is none, or name one of n experts.
func CheckSomeExperts(ids []int32, n int) error {
	for i, e := range ids {
		if int(e) >= n {
			return fmt.Errorf("expert %d at %d is not below %d", e, i, n)
		}
	}
	return nil
}
