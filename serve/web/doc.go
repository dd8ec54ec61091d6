// Package web is the page for people: a chat over the server's own API, as one document without any further request.
//
// Its parts lie in the folder page as they are written, HTML, CSS and JavaScript without a framework and without a
// build step. New puts them into one document. The document may do nothing but call the server that it came from: its
// policy names each style and script by its hash, and allows neither inline attributes, nor other origins, nor text
// as HTML.
package web
