module github.com/hipengine/hipengine

go 1.26
