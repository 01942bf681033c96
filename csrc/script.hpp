// A network that was opened, and how calls into libtorch end: without exceptions, warnings, gradients and profiles.

#pragma once

#include <ATen/core/grad_mode.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/alignment.h>
#include <c10/util/Exception.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#ifdef __APPLE__
#include <malloc/malloc.h>
#else
#include <malloc.h>
#endif

namespace thingsvision {

using torch::jit::Module;

// A module that was opened, and all in it, each once, parents before children: as PyTorch's `named_modules()`.
struct Script {
    Module root;
    std::vector<std::pair<std::string, Module>> modules;
    // Whether its code writes to its attributes.
    bool writes = false;
};

// Memory of `malloc`, which can be asked how much there is.
struct Malloc final : c10::Allocator {
    c10::DataPtr allocate(size_t size) override {
        void *data = nullptr;
        const int error = size ? posix_memalign(&data, c10::gAlignment, size) : 0;
        TORCH_CHECK(!error, "DefaultCPUAllocator: can't allocate memory: you tried to allocate ", size, " bytes. Error code ", error,
                    " (", std::strerror(error), ")");
        return {data, data, std::free, c10::Device(c10::kCPU)};
    }
    c10::DeleterFnPtr raw_deleter() const override { return std::free; }
    void copy_data(void *to, const void *from, size_t size) const override { default_copy_data(to, from, size); }
};

// From now on tensors are made in memory of `malloc`. On x86 they are so; on 64-bit Arm libtorch has an allocator of its own
// (mimalloc), of whose memory `malloc_usable_size` knows nothing.
inline void use_malloc() {
#ifndef __x86_64__
    static const bool done = [] {
        static Malloc memory;
        c10::SetCPUAllocator(&memory);
        return true;
    }();
    (void)done;
#endif
}

// Whether the bytes of a tensor that was read are there: libtorch believes the numbers that stand beside them, of bytes, and of
// where in these the tensor lies. It was read after `use_malloc`.
inline bool has_its_bytes(const at::Tensor &tensor) {
    const auto &storage = tensor.storage();
    // All of them may be near the largest number there is.
    __int128 last = tensor.storage_offset();
    bool is_empty = false;
    if (last < 0) {
        return false;
    }
    for (int64_t axis = 0; axis < tensor.dim(); axis++) {
        if (tensor.size(axis) < 0 || tensor.stride(axis) < 0) {
            return false;
        }
        is_empty |= tensor.size(axis) == 0;
        last += static_cast<__int128>(tensor.size(axis) - 1) * tensor.stride(axis);
    }
    if (!is_empty && (last + 1) * static_cast<__int128>(tensor.itemsize()) > static_cast<__int128>(storage.nbytes())) {
        return false;
    }
#ifdef __APPLE__
    return storage.nbytes() == 0 || storage.nbytes() <= malloc_size(storage.data());
#else
    return storage.nbytes() == 0 || storage.nbytes() <= malloc_usable_size(const_cast<void *>(storage.data()));
#endif
}

struct Silence : c10::WarningHandler {
    void process(const c10::Warning &) override {}
};

// While it lives, this thread gives no warnings, keeps no gradients, and runs code as it stands: the profiling of first runs
// takes longer than it saves.
struct Quiet {
    Silence silence;
    c10::WarningUtils::WarningHandlerGuard warnings{&silence};
    at::NoGradGuard no_grad;
    torch::jit::GraphOptimizerEnabledGuard plain{false};
};

inline void put(const std::string &text, char *message, size_t capacity) {
    const auto first = text.size() < capacity ? 0 : text.size() - (capacity - 1);
    std::strncpy(message, text.c_str() + first, capacity - 1);
    message[capacity - 1] = '\0';
}

template <typename Work> bool guard(char *message, size_t capacity, Work work) {
    try {
        Quiet quiet;
        work();
        return true;
    } catch (const c10::Error &error) {
        put(error.what_without_backtrace(), message, capacity);
    } catch (const std::exception &error) {
        put(error.what(), message, capacity);
    } catch (...) {
        put("an unknown C++ exception", message, capacity);
    }
    return false;
}

} // namespace thingsvision
