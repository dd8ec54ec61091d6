package opship

import (
	"os"

	"github.com/hipengine/hipengine/ops_hip/codeobj"
)

// EnvGraph names the environment variable that, set to "0", makes plans launch their kernels one by one instead
// of replaying a captured graph. Results are equal bit for bit.
const EnvGraph = "HIPENGINE_HIPGRAPH"

// EnvOverlap names the environment variable that, set to "0", lets every launch begin only when those before it have
// ended, also where kernels could wait for them by themselves (NVIDIA from Hopper on). Results are equal bit for bit.
const EnvOverlap = "HIPENGINE_OVERLAP"

// EnvChoices names the environment variable that names a file of choices between kernels, which go before those that
// are built in: see [ReadChoices].
const EnvChoices = "HIPENGINE_CHOICES"

// FromEnv returns the options that the environment asks for: [EnvGraph], [EnvOverlap], [EnvChoices], and a folder of
// code objects in HIPENGINE_CODEOBJ. (HIPENGINE_HIP_LIBRARY, the runtime library to use, is read when the runtime is
// opened.)
func FromEnv() Options {
	return Options{Direct: os.Getenv(EnvGraph) == "0", InTurn: os.Getenv(EnvOverlap) == "0",
		CodeObjects: os.Getenv(codeobj.EnvDir), Choices: os.Getenv(EnvChoices)}
}
