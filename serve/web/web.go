package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

//go:embed page
var files embed.FS

// scripts are the parts of the page's program, in the order in which they run.
var scripts = []string{"dom.js", "colours.js", "markdown.js", "store.js", "api.js", "settings.js", "view.js",
	"chats.js", "main.js"}

// Page is the document with its headers. It is an http.Handler for GET and HEAD, safe for concurrent use.
type Page struct {
	document []byte
	policy   string // of contents, as browsers enforce it
	tag      string
}

// New joins the parts of the page.
func New() *Page {
	style := part("style.css")
	var program strings.Builder
	var sources []string
	for _, name := range scripts {
		text := part(name)
		fmt.Fprintf(&program, "<script>%s</script>\n", text)
		sources = append(sources, source(text))
	}
	document := part("index.html")
	document = strings.Replace(document, "<style></style>", "<style>"+style+"</style>", 1)
	document = strings.Replace(document, "</body>", program.String()+"</body>", 1)
	sum := sha256.Sum256([]byte(document))
	return &Page{
		document: []byte(document),
		policy: strings.Join([]string{
			"default-src 'none'", "script-src " + strings.Join(sources, " "), "style-src " + source(style),
			"connect-src 'self'",
			"img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
			"require-trusted-types-for 'script'", "trusted-types 'none'",
		}, "; "),
		tag: `"` + hex.EncodeToString(sum[:16]) + `"`,
	}
}

// part returns a file of the page. A name that is not there is a fault of this package.
func part(name string) string {
	text, err := files.ReadFile("page/" + name)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// source names an inline script or style in a policy, by its hash.
func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// ServeHTTP sends the page, or status 304 to a browser that has it.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cache-Control", "no-cache") // but ask with the tag
	h.Set("Etag", p.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.document))
}
