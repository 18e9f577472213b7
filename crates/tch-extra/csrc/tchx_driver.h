// Functions of NVIDIA's driver, by name: no program links it, as most machines have none.
#pragma once

#if defined(__linux__) || defined(__APPLE__)
#define TCHX_HAS_DLFCN
#include <dlfcn.h>
#endif

namespace tchx {

#ifdef TCHX_HAS_DLFCN

// Null where there is no driver. The library stays loaded: libtorch uses it too.
template <typename F>
F driver_function(const char* name) {
  static void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  return library ? reinterpret_cast<F>(dlsym(library, name)) : nullptr;
}

#else

template <typename F>
F driver_function(const char*) {
  return nullptr;
}

#endif

}  // namespace tchx
