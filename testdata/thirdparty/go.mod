module example.com/thirdparty

go 1.26.0

require github.com/hipengine/hipengine v0.0.0

require (
	github.com/ebitengine/purego v0.11.3 // indirect
	github.com/klauspost/cpuid/v2 v2.4.2 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/hipengine/hipengine => ../..
