#include "tchx_tape.h"

#include "tchx_guarded.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

using tchx::guarded;

namespace {

// Between autograd, whose operations are all written down, and the kernels. Nothing in libtorch takes this key.
constexpr auto kTape = c10::DispatchKey::Fake;

// An operation, what it was given, and what it gave. The tensors are the step's memory without its history.
struct Call {
  c10::OperatorHandle op;
  torch::jit::Stack arguments;
  torch::jit::Stack results;
};

struct Tape {
  std::vector<Call> calls;
  std::optional<c10::impl::IncludeDispatchKeyGuard> recording;
};

thread_local Tape* recording_here = nullptr;

Tape& tape_of(tchx_tape tape) { return *static_cast<Tape*>(tape); }

at::Tensor without_history(const at::Tensor& tensor) { return tensor.defined() ? tensor.detach() : tensor; }

c10::IValue without_history(const c10::IValue& value) {
  if (value.isTensor()) return without_history(value.toTensor());
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(without_history(tensor));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
      list.push_back(tensor ? std::optional(without_history(*tensor)) : std::nullopt);
    }
    return list;
  }
  return value;
}

torch::jit::Stack without_history(c10::ArrayRef<c10::IValue> values) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  torch::jit::Stack copies;
  for (const c10::IValue& value : values) copies.push_back(without_history(value));
  return copies;
}

void put_into(const at::Tensor& place, const at::Tensor& result) {
  if (place.defined() && !place.is_alias_of(result)) place.copy_(result);
}

// What a replay gave goes where the recorded step had it.
void put_into(const c10::IValue& place, const c10::IValue& result) {
  if (place.isTensor()) {
    put_into(place.toTensor(), result.toTensor());
  } else if (place.isTensorList()) {
    const auto places = place.toTensorVector(), results = result.toTensorVector();
    for (size_t i = 0; i < places.size(); ++i) put_into(places[i], results[i]);
  }
}

// New memory without values: there is nothing to repeat.
bool gives_memory_only(const c10::OperatorHandle& op) {
  const std::string& name = op.schema().name();
  return name.rfind("aten::empty", 0) == 0 || name.rfind("aten::new_empty", 0) == 0;
}

// Every operation of a step that is recorded comes by here.
void write_down(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  TORCH_CHECK(recording_here, op.schema().name(), " in another thread than the step's");
  TORCH_CHECK(!op.hasTag(at::Tag::data_dependent_output) && !op.hasTag(at::Tag::dynamic_output_shape), op.schema().name(),
              " depends on values that a replay would change: it cannot be recorded");
  // What a kernel calls belongs to its operation.
  const c10::impl::ExcludeDispatchKeyGuard not_below(kTape);
  auto arguments = without_history(torch::jit::last(*stack, op.schema().arguments().size()));
  op.redispatchBoxed(keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, kTape), stack);
  if (gives_memory_only(op)) return;
  auto results = without_history(torch::jit::last(*stack, op.schema().returns().size()));
  recording_here->calls.push_back({op, std::move(arguments), std::move(results)});
}

}  // namespace

TORCH_LIBRARY_IMPL(_, Fake, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&write_down>()); }

tchx_error tchx_tape_begin(tchx_tape* tape) {
  return guarded([&] {
    TORCH_CHECK(!recording_here, "a step is being recorded in this thread already");
    auto begun = std::make_unique<Tape>();
    begun->recording.emplace(kTape);
    *tape = recording_here = begun.release();
  });
}

tchx_error tchx_tape_end(tchx_tape tape) {
  return guarded([&] {
    recording_here = nullptr;
    tape_of(tape).recording.reset();
  });
}

tchx_error tchx_tape_replay(tchx_tape tape) {
  return guarded([&] {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    for (const Call& call : tape_of(tape).calls) {
      torch::jit::Stack stack = call.arguments;
      call.op.callBoxed(stack);
      for (size_t i = 0; i < call.results.size(); ++i) put_into(call.results[i], stack[i]);
    }
  });
}

void tchx_tape_free(tchx_tape tape) noexcept { delete &tape_of(tape); }
