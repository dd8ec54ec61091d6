// Package pages allocates large blocks of memory outside the Go heap. The collector need not know them, which paces it
// by what is really garbage, and they lie in huge pages where the system has them: a processor that streams through
// weights then looks up one address translation for two megabytes instead of five hundred.
package pages
