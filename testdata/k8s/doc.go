// Package k8s checks the manifests of packaging/k8s: against the types and schemas that Kubernetes and its extensions
// publish, against each other, and against the server that they start. It is a module of its own, so that hipengine
// does not depend on Kubernetes.
package k8s
