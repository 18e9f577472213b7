// What every file of the C ABI needs: its error convention, and tensors as torch-sys hands them over.
#pragma once
#include "tchx_torch.h"

#include <ATen/core/Tensor.h>

#include <cstring>
#include <exception>

namespace tchx {

// What is said when there is no memory left to say more; never freed.
inline char no_memory[] = "out of memory";

inline tchx_error message(const char* text) noexcept {
  char* copy = strdup(text);
  return copy ? copy : no_memory;
}

// Runs `f`; an exception becomes its message, on the C heap.
template <typename F>
tchx_error guarded(F f) noexcept {
  try {
    f();
    return nullptr;
  } catch (const c10::Error& e) {
    return message(e.what_without_backtrace());
  } catch (const std::exception& e) {
    return message(e.what());
  } catch (...) {
    return message("unknown C++ exception");
  }
}

inline at::Tensor& tensor(tchx_tensor t) { return *static_cast<at::Tensor*>(t); }

}  // namespace tchx
