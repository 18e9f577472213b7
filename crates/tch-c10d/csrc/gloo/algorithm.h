// ProcessGroupGloo.hpp includes Gloo's headers, which libtorch does not ship. It names Gloo's classes mostly behind pointers; this
// folder declares what its own declarations need, so that they compile. All code is libtorch's: nothing here is ever instantiated.
#pragma once
