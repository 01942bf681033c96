// A network that was opened, and how calls into libtorch end: without exceptions, warnings, gradients and profiles.

#pragma once

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

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

// Whether the bytes of a tensor that was read are there: libtorch believes the numbers that stand beside them, of bytes, and of
// where in these the tensor lies.
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
