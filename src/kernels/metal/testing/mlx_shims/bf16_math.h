// In place of overloads that MLX writes on names inside the compiler: the harness has them for
// bfloat.
#pragma once
