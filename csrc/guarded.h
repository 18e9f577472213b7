// What every file of the C ABI needs: its error convention, and tensors as torch-sys hands them over.
#pragma once
#include "d2l_torch.h"

#include <ATen/core/Tensor.h>

#include <cstring>
#include <exception>

namespace d2l {

// What is said when there is no memory left to say more; never freed.
inline char no_memory[] = "out of memory";

inline d2l_error message(const char* text) noexcept {
  char* copy = strdup(text);
  return copy ? copy : no_memory;
}

// Runs `f`; an exception becomes its message, on the C heap.
template <typename F>
d2l_error guarded(F f) noexcept {
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

inline at::Tensor& tensor(d2l_tensor t) { return *static_cast<at::Tensor*>(t); }

}  // namespace d2l
