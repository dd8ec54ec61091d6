// Package supervise lets a server work in a process of its own, so that it can be told of the end of that process and
// start another. GPU runtimes end a process when a kernel reads memory that is not mapped: no error returns, and
// nothing can be caught.
//
// The supervisor owns the listening socket and speaks HTTP with the clients. It passes requests on to the worker, a
// child process with the same command line, over a socket that the worker accepts nobody else on, one connection a
// request, each of which begins with the addresses of the client's. When the worker dies, requests in flight are
// answered with status 503 and Retry-After, event streams end with an error event, and the worker is started again.
// /livez is the supervisor's own.
package supervise
