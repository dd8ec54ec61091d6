//go:build !openapi

package serve

import (
	"net/http"
	"testing"
)

// checked leaves out the checks of openapi_test.go. What they link takes longer to compile than all else of the module, so
// that the tag openapi asks for them; make race does.
func checked(_ *testing.T, s *Server) http.Handler { return s.handler }
