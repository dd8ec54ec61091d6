package serve

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
)

// debugHandler offers profiles of the process, which tell much about it and take its time.
func (s *Server) debugHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return s.sameSite(mux)
}

// ServeDebug offers profiles for net/http/pprof on a listener until Shutdown, and then returns nil. It refuses one
// that other machines can reach.
func (s *Server) ServeDebug(l net.Listener) error {
	if !IsLocal(l.Addr()) {
		return fmt.Errorf("serve: profiles are for this machine alone, and %v can be reached from others", l.Addr())
	}
	if err := s.debug.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
