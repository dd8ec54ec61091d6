package serve

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/serve/openai"
)

// IsLocal reports whether only this machine can reach an address.
func IsLocal(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// isLoopbackName reports whether a host, with or without port, names the loopback interface.
func isLoopbackName(host string) bool {
	host = hostname(host)
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// hostname removes the port, the brackets of an IPv6 address and the dot behind a full name, and lowers the case.
func hostname(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), "."))
}

// sameSite refuses requests that a web page of another site may have caused: those whose Host is a name that was bound
// to a loopback address by DNS, and those from pages whose origin is not allowed. It answers CORS preflights of pages
// that are.
func (s *Server) sameSite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.hostAllowed(r) {
			s.fail(w, r, &openai.Error{
				Status: http.StatusForbidden, Type: openai.TypePermission, Code: "host_not_allowed",
				Message: "this server does not answer to the host name of the request; its owner can allow it (serve --allowed-host)",
			})
			return
		}
		origin := r.Header.Get("Origin")
		if origin == "" {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Add("Vary", "Origin")
		preflight := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
		if !s.originAllowed(r, origin) {
			if preflight { // which asks; without the header, the answer is no
				w.WriteHeader(http.StatusOK)
				return
			}
			s.fail(w, r, &openai.Error{
				Status: http.StatusForbidden, Type: openai.TypePermission, Code: "origin_not_allowed",
				Message: "this server does not answer to web pages of the request's origin; its owner can allow it (serve --origin)",
			})
			return
		}
		// Credentials are never allowed, so a page can use a key only if it has it.
		w.Header().Set("Access-Control-Allow-Origin", origin)
		if preflight {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS")
			if h := r.Header.Get("Access-Control-Request-Headers"); h != "" && len(h) <= 1024 {
				w.Header().Set("Access-Control-Allow-Headers", h)
			}
			w.Header().Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusOK)
			return
		}
		w.Header().Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
		next.ServeHTTP(w, r)
	})
}

// probes are the endpoints that answer to any Host: they say nothing that a page could use, and what watches a server
// from behind a proxy sends the name of that.
var probes = map[string]bool{"/health": true, "/livez": true, "/readyz": true, "/startupz": true}

// hostAllowed checks the Host of requests on connections to loopback addresses. A browser cannot open others that are
// local, and a server on a network address is guarded by its key.
func (s *Server) hostAllowed(r *http.Request) bool {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return true
	}
	if isLoopbackName(r.Host) || probes[r.URL.Path] {
		return true
	}
	return slices.ContainsFunc(s.c.AllowedHosts, func(h string) bool {
		host := hostname(r.Host)
		if domain, ok := strings.CutPrefix(h, "*"); ok && (domain == "" || domain[0] == '.') {
			return strings.HasSuffix(host, strings.ToLower(domain))
		}
		return hostname(h) == host
	})
}

// originAllowed reports whether the page is the server's own, of the loopback interface, or on the list.
func (s *Server) originAllowed(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err == nil && u.Host != "" && (u.Host == r.Host || isLoopbackName(u.Host)) {
		return true
	}
	return slices.Contains(s.c.AllowedOrigins, "*") || slices.Contains(s.c.AllowedOrigins, origin)
}
