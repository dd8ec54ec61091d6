// Command hipengine runs large language models on AMD GPUs and plain CPUs: in a chat, over HTTP, or piece by piece
// for those who look inside. `hipengine --help` lists the commands.
package main
