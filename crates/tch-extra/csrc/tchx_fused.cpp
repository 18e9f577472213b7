#include "tchx_fused.h"

#include "tchx_cuda.h"
#include "tchx_driver.h"
#include "tchx_guarded.h"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <vector>

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using tchx::driver_function;
using tchx::guarded;

namespace {

constexpr auto kCuda = c10::DeviceType::CUDA;

// As in fused.cu.
constexpr unsigned kThreads = 1024;
constexpr int64_t kStatistics = 4;
struct Batch {
  unsigned samples, channels, pixels;
};

// NVRTC, CUDA's compiler at run time; null pointers where it is not found. It stays loaded: libtorch uses it too.
struct Nvrtc {
  using Program = void*;
  int (*version)(int*, int*) = nullptr;
  int (*create)(Program*, const char*, const char*, int, const char* const*, const char* const*) = nullptr;
  int (*compile)(Program, int, const char* const*) = nullptr;
  int (*log_size)(Program, size_t*) = nullptr;
  int (*log)(Program, char*) = nullptr;
  int (*code_size)(Program, size_t*) = nullptr;
  int (*code)(Program, char*) = nullptr;
  int (*destroy)(Program*) = nullptr;

#ifdef TCHX_HAS_DLFCN
  Nvrtc() {
    const char* libtorch = tchx_libtorch_file();
    const std::string file = libtorch ? libtorch : "";
    const std::string folder = file.substr(0, file.rfind('/') + 1);
    // libtorch's library brings the NVRTC that it is linked with, where there is a driver. pip puts NVRTC next to libtorch.
    for (const auto& name :
         {folder + "libcaffe2_nvrtc.so", folder + "../../nvidia/cu13/lib/libnvrtc.so.13", std::string("libnvrtc.so.13")}) {
      void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (!library) continue;
      take(library);
      break;
    }
  }

  void take(void* library) {
    const auto set = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
      TORCH_CHECK(function, "NVRTC has no function ", name);
    };
    set(version, "nvrtcVersion");
    set(create, "nvrtcCreateProgram");
    set(compile, "nvrtcCompileProgram");
    set(log_size, "nvrtcGetProgramLogSize");
    set(log, "nvrtcGetProgramLog");
    set(code_size, "nvrtcGetCUBINSize");
    set(code, "nvrtcGetCUBIN");
    set(destroy, "nvrtcDestroyProgram");
    // NVRTC opens its other library by name, which is found if it has been loaded. Where it is not in NVRTC's folder, NVRTC says so.
    int major = 0, minor = 0;
    Dl_info info;
    if (version(&major, &minor) != 0 || dladdr(reinterpret_cast<void*>(version), &info) == 0) return;
    const std::string file = info.dli_fname;
    const std::string name = "libnvrtc-builtins.so." + std::to_string(major) + "." + std::to_string(minor);
    dlopen((file.substr(0, file.rfind('/') + 1) + name).c_str(), RTLD_NOW | RTLD_LOCAL);
  }
#endif
};

// The machine code of `source` for an architecture.
std::string compiled(const char* source, const std::string& architecture) {
  static const Nvrtc nvrtc;
  TORCH_CHECK(nvrtc.compile, "NVRTC, which comes with libtorch for CUDA, is not found");
  Nvrtc::Program program = nullptr;
  TORCH_CHECK(nvrtc.create(&program, source, "fused.cu", 0, nullptr, nullptr) == 0, "NVRTC takes no program");
  const std::string target = "--gpu-architecture=" + architecture;
  const std::vector<const char*> options = {target.c_str(), "--std=c++17", "--fmad=false"};
  const int status = nvrtc.compile(program, static_cast<int>(options.size()), options.data());
  const auto text_of = [&](auto size_of, auto get) {
    size_t size = 0;
    std::string text;
    if (size_of(program, &size) != 0) return text;
    text.resize(size);
    if (get(program, text.data()) != 0) text.clear();
    return text;
  };
  std::string log = text_of(nvrtc.log_size, nvrtc.log);
  const std::string code = text_of(nvrtc.code_size, nvrtc.code);
  nvrtc.destroy(&program);
  // Errors are one line here.
  std::replace(log.begin(), log.end(), '\n', ' ');
  TORCH_CHECK(status == 0 && !code.empty(), "NVRTC, status ", status, ", for ", architecture, ": ", log.c_str());
  return code;
}

// Calls a function of the driver.
template <typename Function, typename... Arguments>
void drive(const char* name, Arguments... arguments) {
  const auto function = driver_function<Function>(name);
  TORCH_CHECK(function, "NVIDIA's driver has no ", name);
  const int status = function(arguments...);
  TORCH_CHECK(status == 0, "NVIDIA's driver, ", name, ": status ", status);
}

// Lets this thread use the device's context, as libtorch's own threads do: a thread that has not called CUDA's runtime has none.
void enter_context(c10::DeviceIndex index) {
  void* context = nullptr;
  drive<int (*)(void**)>("cuCtxGetCurrent", &context);
  if (context) return;
  int device = 0;
  drive<int (*)(int*, int)>("cuDeviceGet", &device, int(index));
  drive<int (*)(void**, int)>("cuDevicePrimaryCtxRetain", &context, device);
  drive<int (*)(void*)>("cuCtxSetCurrent", context);
}

// The kernels of fused.cu on a device; never unloaded.
struct Kernels {
  void* forward = nullptr;
  void* backward = nullptr;
};

std::mutex preparing;
std::map<c10::DeviceIndex, Kernels> prepared;

Kernels load(c10::DeviceIndex index, const char* source) {
  constexpr int kMajor = 75, kMinor = 76;  // of CUdevice_attribute
  const int major = tchx_driver_device_attribute(index, kMajor), minor = tchx_driver_device_attribute(index, kMinor);
  const std::string code = compiled(source, "sm_" + std::to_string(10 * major + minor));
  enter_context(index);
  void* module = nullptr;
  Kernels kernels;
  drive<int (*)(void**, const void*)>("cuModuleLoadData", &module, static_cast<const void*>(code.data()));
  const auto find = [&](void*& kernel, const char* name) {
    drive<int (*)(void**, void*, const char*)>("cuModuleGetFunction", &kernel, module, name);
  };
  find(kernels.forward, "batch_norm_act");
  find(kernels.backward, "batch_norm_act_backward");
  return kernels;
}

Kernels kernels_on(c10::Device device) {
  const std::lock_guard<std::mutex> turn(preparing);
  const auto found = prepared.find(device.index());
  TORCH_CHECK(found != prepared.end(), "the fused batch norm is not prepared for ", device);
  return found->second;
}

// Launches a kernel on x's device and current stream: a block for each channel. The arguments have the types of its parameters.
template <typename... Arguments>
void launch(void* kernel, const Tensor& x, Arguments... arguments) {
  const unsigned samples = x.size(0), channels = x.size(1);
  Batch batch = {samples, channels, unsigned(x.numel() / (x.size(0) * x.size(1)))};
  void* parameters[] = {&batch, &arguments...};
  void* stream = c10::impl::VirtualGuardImpl(kCuda).getStream(x.device()).native_handle();
  enter_context(x.device().index());
  using Launch = int (*)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
  drive<Launch>("cuLaunchKernel", kernel, channels, 1, 1, kThreads, 1, 1, 0, stream, parameters, nullptr);
}

struct Fused : torch::autograd::Function<Fused> {
  static Tensor forward(AutogradContext* context, const Tensor& given, const Tensor& gamma, const Tensor& beta,
                        const Tensor& moving_mean, const Tensor& moving_var, double momentum, double eps, int64_t activation) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const c10::DeviceGuard on(given.device());
    const Tensor x = given.contiguous();
    const Tensor y = at::empty_like(x), saved = at::empty({x.size(1), kStatistics}, x.options());
    launch(kernels_on(x.device()).forward, x, x.const_data_ptr<float>(), gamma.const_data_ptr<float>(),
           beta.const_data_ptr<float>(), moving_mean.mutable_data_ptr<float>(), moving_var.mutable_data_ptr<float>(), momentum, eps,
           int(activation), y.mutable_data_ptr<float>(), saved.mutable_data_ptr<float>());
    context->save_for_backward({x, beta, saved});
    context->saved_data["activation"] = activation;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "the fused batch norm has no gradients of gradients");
    const auto tensors = context->get_saved_variables();
    const Tensor &x = tensors[0], &beta = tensors[1], &saved = tensors[2];
    const c10::DeviceGuard on(x.device());
    const Tensor grad = grads[0].contiguous();
    const Tensor of_x = at::empty_like(x), of_gamma = at::empty_like(beta), of_beta = at::empty_like(beta);
    launch(kernels_on(x.device()).backward, x, grad.const_data_ptr<float>(), x.const_data_ptr<float>(),
           beta.const_data_ptr<float>(), saved.const_data_ptr<float>(),
           int(context->saved_data["activation"].toInt()), of_x.mutable_data_ptr<float>(), of_gamma.mutable_data_ptr<float>(),
           of_beta.mutable_data_ptr<float>());
    return {of_x, of_gamma, of_beta, Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

void check(const Tensor& x, std::initializer_list<const Tensor*> of_channels) {
  TORCH_CHECK(x.is_cuda(), "the fused batch norm computes on CUDA, and its input is on ", x.device());
  TORCH_CHECK(x.scalar_type() == at::kFloat && (x.dim() == 2 || x.dim() == 4) && x.numel() > 0 &&
                  x.numel() <= std::numeric_limits<int32_t>::max(),
              "the fused batch norm takes up to 2147483647 floats (N, C) or (N, C, H, W), not ", x.sizes(), " of ", x.scalar_type());
  for (const Tensor* t : of_channels) {
    TORCH_CHECK(t->device() == x.device() && t->scalar_type() == at::kFloat && t->is_contiguous() && t->numel() == x.size(1),
                "the fused batch norm of ", x.sizes(), " takes ", x.size(1), " floats on ", x.device(), " for each of the channels' tensors");
  }
}

}  // namespace

tchx_error tchx_fused_prepare(int64_t cuda_index, const char* source) {
  return guarded([&] {
    at::globalContext().lazyInitDevice(kCuda);
    const c10::Device device(kCuda, static_cast<c10::DeviceIndex>(cuda_index));
    const std::lock_guard<std::mutex> turn(preparing);
    if (prepared.count(device.index())) return;
    const c10::DeviceGuard on(device);
    prepared.emplace(device.index(), load(device.index(), source));
  });
}

tchx_error tchx_fused_compile(const char* source, const char* architecture, size_t* bytes) {
  return guarded([&] { *bytes = compiled(source, architecture).size(); });
}

tchx_error tchx_batch_norm_act(tchx_tensor x, tchx_tensor gamma, tchx_tensor beta, tchx_tensor moving_mean,
                               tchx_tensor moving_var, double momentum, double eps, int32_t activation, tchx_tensor* result) {
  return guarded([&] {
    const Tensor &batch = tchx::tensor(x), &g = tchx::tensor(gamma), &b = tchx::tensor(beta);
    const Tensor &its_mean = tchx::tensor(moving_mean), &its_var = tchx::tensor(moving_var);
    check(batch, {&g, &b, &its_mean, &its_var});
    *result = new Tensor(Fused::apply(batch, g, b, its_mean, its_var, momentum, eps, int64_t(activation)));
  });
}
