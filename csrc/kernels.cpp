// What libtorch can do on the CPU and tch does not hand out: fused oneDNN kernels, and settings of a thread or the process.
//
// Called by src/nn/kernels.rs, which documents the contract. No exception leaves this file: a function that can fail
// returns null, and the first `capacity - 1` bytes of a message.

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <cfenv>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace {

using Sizes = std::vector<int64_t>;

// An operator of libtorch's `mkldnn` namespace, which its compiler uses; it has no C++ function of its own.
std::optional<c10::OperatorHandle> find(const char *name) {
    return c10::Dispatcher::singleton().findSchema({name, ""});
}

at::Tensor call(const char *name, std::vector<c10::IValue> arguments) {
    find(name).value().callBoxed(&arguments);
    return arguments.at(0).toTensor();
}

template <typename Compute> at::Tensor *guard(char *message, size_t capacity, Compute compute) {
    try {
        return new at::Tensor(compute());
    } catch (const std::exception &error) {
        std::strncpy(message, error.what(), capacity - 1);
    } catch (...) {
        std::strncpy(message, "an unknown C++ exception", capacity - 1);
    }
    message[capacity - 1] = '\0';
    return nullptr;
}

c10::IValue optional(const at::Tensor *tensor) {
    return tensor ? c10::IValue(*tensor) : c10::IValue();
}

// The numbers of an activation that has some: ReLU6 is a `hardtanh` from 0 to 6.
c10::IValue scalars(const char *activation) {
    c10::List<std::optional<at::Scalar>> numbers;
    if (std::string(activation) == "hardtanh") {
        numbers.push_back(at::Scalar(0.0));
        numbers.push_back(at::Scalar(6.0));
    }
    return numbers;
}

} // namespace

extern "C" int thingsvision_has_kernels() {
    for (const char *name : {"mkldnn::_reorder_convolution_weight", "mkldnn::_convolution_pointwise",
                             "mkldnn::_reorder_linear_weight", "mkldnn::_linear_pointwise"}) {
        const auto op = find(name);
        if (!op || !op->hasKernelForAnyDispatchKey(c10::DispatchKeySet({c10::DispatchKey::CPU, c10::DispatchKey::MkldnnCPU}))) {
            return 0;
        }
    }
    return 1;
}

// `weight` rearranged for convolutions of channels-last images of the four sizes `input`.
extern "C" at::Tensor *thingsvision_pack_convolution(const at::Tensor *weight, int64_t stride, const int64_t *padding, int64_t groups,
                                                     const int64_t *input, char *message, size_t capacity) {
    return guard(message, capacity, [&] {
        const auto channels_last = weight->contiguous(at::MemoryFormat::ChannelsLast);
        return call("mkldnn::_reorder_convolution_weight",
                    {channels_last, Sizes(padding, padding + 2), Sizes{stride, stride}, Sizes{1, 1}, groups, Sizes(input, input + 4)});
    });
}

extern "C" at::Tensor *thingsvision_convolution(const at::Tensor *x, const at::Tensor *packed, const at::Tensor *bias,
                                                int64_t stride, const int64_t *padding, int64_t groups, const char *activation,
                                                char *message, size_t capacity) {
    return guard(message, capacity, [&] {
        return call("mkldnn::_convolution_pointwise",
                    {*x, *packed, optional(bias), Sizes(padding, padding + 2), Sizes{stride, stride}, Sizes{1, 1}, groups,
                     std::string(activation), scalars(activation), std::string("none")});
    });
}

// `weight` rearranged for products with `rows` rows.
extern "C" at::Tensor *thingsvision_pack_linear(const at::Tensor *weight, int64_t rows, char *message, size_t capacity) {
    return guard(message, capacity, [&] { return call("mkldnn::_reorder_linear_weight", {weight->contiguous(), rows}); });
}

extern "C" at::Tensor *thingsvision_linear(const at::Tensor *x, const at::Tensor *packed, const at::Tensor *bias,
                                           const char *activation, char *message, size_t capacity) {
    return guard(message, capacity, [&] {
        return call("mkldnn::_linear_pointwise",
                    {*x, *packed, optional(bias), std::string(activation), scalars(activation), std::string("none")});
    });
}

// A copy whose channels lie next to each other in memory; the shape stays.
extern "C" at::Tensor *thingsvision_channels_last(const at::Tensor *x, char *message, size_t capacity) {
    return guard(message, capacity, [&] { return x->contiguous(at::MemoryFormat::ChannelsLast); });
}

// Whether nobody else holds `x` or shares its memory, and each of its values has a place of its own there.
extern "C" int thingsvision_is_unique(const at::Tensor *x) {
    return x->use_count() == 1 && x->has_storage() && x->storage().use_count() == 1 && x->is_non_overlapping_and_dense();
}

// Writes `relu(x + y)` over `x`, in one pass over memory; NaN and infinities stay. Whether it could: both must be float32 on the CPU
// and lie in memory alike, without gaps.
extern "C" int thingsvision_add_relu(const at::Tensor *x, const at::Tensor *y) {
    const bool alike = x->is_cpu() && y->is_cpu() && x->scalar_type() == at::kFloat && y->scalar_type() == at::kFloat &&
        x->sizes() == y->sizes() && x->strides() == y->strides() && x->is_non_overlapping_and_dense();
    if (!alike) {
        return 0;
    }
    float *sum = x->data_ptr<float>();
    const float *other = y->const_data_ptr<float>();
    const int64_t count = x->numel();
    for (int64_t i = 0; i < count; i++) {
        const float value = sum[i] + other[i];
        sum[i] = value < 0 ? 0 : value;
    }
    return 1;
}

// For this thread, and for those that libtorch starts from it later.
extern "C" void thingsvision_flush_denormals() {
    at::globalContext().setFlushDenormal(true);
}

// Whether an operation of this thread met or made a NaN since this was last asked: the processor keeps a flag.
extern "C" int thingsvision_met_nan() {
    const bool met = std::fetestexcept(FE_INVALID) != 0;
    std::feclearexcept(FE_INVALID);
    return met;
}

// Whether CUDA may round the factors of products to 10 bits of mantissa (TF32), in linear maps and convolutions alike.
extern "C" void thingsvision_allow_tf32(int allowed) {
    at::globalContext().setAllowTF32CuBLAS(allowed != 0);
    at::globalContext().setAllowTF32CuDNN(allowed != 0);
}
