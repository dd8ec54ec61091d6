package tracing

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// settings is what the environment variables of OpenTelemetry say about how to send. Where to is not theirs to say.
type settings struct {
	header http.Header
	gzip   bool
	json   bool
	tls    *tls.Config // nil if they say nothing of certificates
}

// prefixes of the variables: those for traces go before those for all that is sent.
var prefixes = []string{"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"}

// variable returns the name and value of the first variable that is set, empty if none is.
func variable(name string) (string, string) {
	for _, p := range prefixes {
		if v := strings.TrimSpace(os.Getenv(p + name)); v != "" {
			return p + name, v
		}
	}
	return "", ""
}

func environment() (settings, error) {
	s := settings{header: http.Header{}}
	switch name, v := variable("COMPRESSION"); v {
	case "gzip":
		s.gzip = true
	case "", "none":
	default:
		return s, fmt.Errorf("%s is %q; gzip and none are known", name, v)
	}
	switch name, v := variable("PROTOCOL"); v {
	case "http/json":
		s.json = true
	case "", "http/protobuf":
	default:
		return s, fmt.Errorf("%s is %q; http/protobuf and http/json are known", name, v)
	}
	if err := s.headers(); err != nil {
		return s, err
	}
	return s, s.certificates()
}

// headers takes a list such as key=value,other=percent%20coded.
func (s *settings) headers() error {
	name, list := variable("HEADERS")
	if list == "" {
		return nil
	}
	for _, pair := range strings.Split(list, ",") {
		key, coded, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(coded)
		if key = strings.TrimSpace(key); !ok || err != nil || !isToken(key) {
			return fmt.Errorf("%s: header %q is not of the form key=value", name, key) // values may be secret
		}
		s.header.Set(key, strings.TrimSpace(value))
	}
	return nil
}

// isToken tells whether s may name a header (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		return !letter && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}

// certificates takes the files of authorities that collectors are held to, and of what shows who we are.
func (s *settings) certificates() error {
	config := &tls.Config{}
	if name, file := variable("CERTIFICATE"); file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(b) {
			return fmt.Errorf("%s: %s has no certificate in PEM", name, file)
		}
		s.tls = config
	}
	for _, p := range prefixes {
		certificate := strings.TrimSpace(os.Getenv(p + "CLIENT_CERTIFICATE"))
		key := strings.TrimSpace(os.Getenv(p + "CLIENT_KEY"))
		if certificate == "" && key == "" {
			continue
		}
		c, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return fmt.Errorf("%[1]sCLIENT_CERTIFICATE, %[1]sCLIENT_KEY: %[2]w", p, err)
		}
		config.Certificates = []tls.Certificate{c}
		s.tls = config
		break
	}
	return nil
}
