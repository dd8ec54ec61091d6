// Package hub fetches models from hubs that speak Hugging Face's protocol, and finds them in the cache on disk, which
// has the layout of the library huggingface_hub, so that both share what either fetched:
//
//	models--OWNER--NAME/refs/REVISION        text: the commit that a branch or tag named when it was fetched
//	models--OWNER--NAME/blobs/HASH           contents: by SHA-256, or for small files by Git's hash
//	models--OWNER--NAME/snapshots/COMMIT/…   the files of a commit: links to blobs
//
// [ParseRef] reads the names of models, [Cache] finds, lists and removes, [Client] fetches. A blob gets its name when
// its hash is known to be right, and links come last: what is in a snapshot is whole.
package hub
