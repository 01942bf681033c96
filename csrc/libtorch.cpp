// The libtorch that the program runs with: the file that its code was loaded from, and which of its kernels the processor takes.

#include <ATen/Version.h>
#include <dlfcn.h>

#include <cstdio>

namespace {

int copy(const char *text, char *out, int capacity) {
    return text != nullptr && std::snprintf(out, capacity, "%s", text) < capacity ? 0 : 1;
}

}  // namespace

extern "C" {

// The path of libtorch_cpu as the loader knows it; 1 if that cannot be told.
int thingsvision_libtorch_file(char *out, int capacity) {
    // Taken through the table of a program that may lie anywhere, so that it is the library's own address.
    Dl_info info;
    if (dladdr(reinterpret_cast<void *>(&at::show_config), &info) == 0) {
        return 1;
    }
    return copy(info.dli_fname, out, capacity);
}

// `AVX512`, `AVX2`, `DEFAULT` …
int thingsvision_cpu_capability(char *out, int capacity) {
    try {
        return copy(at::get_cpu_capability().c_str(), out, capacity);
    } catch (...) {
        return 1;
    }
}

}  // extern "C"
