module github.com/hipengine/hipengine

go 1.26

require github.com/google/go-cmp v0.7.0

require github.com/ebitengine/purego v0.11.3
