// Package pool keeps several models ready to answer, of which memory may hold only some. A model is loaded when a
// request needs it, and unloaded when another needs its memory or nobody has used it for a while. It knows neither
// devices nor files: what loads a model is a function.
//
// # States
//
// A model is unloaded; or it waits for its turn, since one model is loaded at a time; or it is loading, loaded or
// unloading. Requests wait for a model that is not loaded, a bounded number of them, each for as long as its context
// lasts. Requests of models that are loaded never wait for the loading of others.
//
// # Room
//
// Loading asks for room when memory is short. Models that are not in use go first, the least recently used one before
// the others. If all are in use, the least recently used one is retired: those that use it finish, those that come
// wait, and when the last user is done it goes. Requests that waited for a model all get it when it is loaded, so that
// two models which do not fit together take turns and neither waits for ever. A model that would not fit even if all
// others went is refused, and none goes. Pinned models never go.
package pool
