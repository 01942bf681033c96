//! jemalloc that keeps its pages.
//!
//! libtorch allocates each activation anew. The system's allocator hands such large blocks back to the kernel every
//! time, and the page faults that follow cost up to half of a forward pass. The executable's `malloc` is used by
//! libtorch too, so this one setting is worth up to 1.8 times (on x86; libtorch for 64-bit Arm has an allocator of its own).
#![allow(unsafe_code)] // a symbol with a fixed name, which jemalloc reads at start

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A C string that jemalloc looks for: never give pages back, no special arena for large blocks.
struct Settings {
    _text: *const u8,
}

// SAFETY: the pointer is to a constant and only read.
unsafe impl Sync for Settings {}

// SAFETY: the name is jemalloc's own (with a prefix where malloc itself cannot be replaced), and of its type, `const char *`.
#[cfg_attr(target_os = "linux", unsafe(export_name = "malloc_conf"))]
#[cfg_attr(not(target_os = "linux"), unsafe(export_name = "_rjem_malloc_conf"))]
static SETTINGS: Settings = Settings { _text: c"dirty_decay_ms:-1,muzzy_decay_ms:-1,oversize_threshold:0".as_ptr().cast() };
