package main

type conformCmd struct{}

func (conformCmd) Run() error { return nil }
