// The parameters and buffers of a TorchScript archive, as OpenAI publishes CLIP.
//
// tch hands out parameters only, and the running statistics of batch norms are buffers. Called by
// src/weights/torchscript.rs, which documents the contract. No exception leaves this file.

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstring>
#include <exception>
#include <string>

namespace {

void put(const char *text, char *message, size_t capacity) {
    std::strncpy(message, text, capacity - 1);
    message[capacity - 1] = '\0';
}

} // namespace

// Calls `take(context, name, tensor)` for each tensor; the callee owns `tensor`, an `at::Tensor *`.
// Returns 0, or 1 with the first `capacity - 1` bytes of a message.
extern "C" int thingsvision_torchscript_tensors(const char *path, void *context,
                                                void (*take)(void *, const char *, at::Tensor *), char *message,
                                                size_t capacity) {
    try {
        const auto module = torch::jit::load(path, c10::Device(c10::kCPU));
        for (const auto &parameter : module.named_parameters()) {
            take(context, parameter.name.c_str(), new at::Tensor(parameter.value.detach()));
        }
        for (const auto &buffer : module.named_buffers()) {
            take(context, buffer.name.c_str(), new at::Tensor(buffer.value.detach()));
        }
        return 0;
    } catch (const std::exception &error) {
        put(error.what(), message, capacity);
    } catch (...) {
        put("an unknown C++ exception", message, capacity);
    }
    return 1;
}
