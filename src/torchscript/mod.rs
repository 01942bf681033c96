//! TorchScript archives, as `torch.jit.save` writes them: their tensors, their modules, and runs in which the output of every
//! module is seen.
//!
//! The C++ side is `csrc/torchscript.cpp`.
#![allow(unsafe_code)] // calls into C++, reasoned at each

mod foreign;
mod nesting;

use crate::plain_file;
use anyhow::{Context, Result, anyhow};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use tch::{Device, Kind, Tensor};
use torch_sys::C_tensor;
use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};

use foreign::{Pairs, TakePair, take_pair};
pub use nesting::on_large_stack;

/// Of a longer message the end is kept, which says what happened; before it stands where.
const LONGEST_MESSAGE: usize = 8000;

/// `Script` of the C++ side.
#[repr(C)]
struct Raw([u8; 0]);

type TakeTensor = extern "C" fn(*mut c_void, *const c_char, *mut C_tensor, c_int);
type SeeOutput = extern "C" fn(*mut c_void, usize, c_int, *const c_char, *const C_tensor) -> c_int;

unsafe extern "C" {
    fn thingsvision_script_open(path: *const c_char, message: *mut c_char, capacity: usize) -> *mut Raw;
    fn thingsvision_script_close(script: *mut Raw);
    fn thingsvision_script_tensors(
        script: *const Raw,
        context: *mut c_void,
        take: TakeTensor,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn thingsvision_script_modules(
        script: *const Raw,
        context: *mut c_void,
        take: TakePair,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn thingsvision_script_inputs(script: *const Raw, message: *mut c_char, capacity: usize) -> c_int;
    fn thingsvision_script_prepare(
        script: *mut Raw,
        like: *const C_tensor,
        traced: c_int,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
    fn thingsvision_script_run(
        script: *const Raw,
        images: *const C_tensor,
        wanted: *const u8,
        context: *mut c_void,
        see: SeeOutput,
        message: *mut c_char,
        capacity: usize,
    ) -> c_int;
}

/// The zip archive at `path`, in which PyTorch stores networks and weights. It begins where the file does: told so, `zip` does
/// not look for another beginning, and finds none by mistake.
pub fn archive(path: &Path) -> Result<ZipArchive<File>> {
    Ok(ZipArchive::with_config(Config { archive_offset: ArchiveOffset::Known(0) }, plain_file::open(path)?)?)
}

/// A network or the weights of one, opened.
#[derive(Debug)]
pub struct Script {
    raw: NonNull<Raw>,
    /// The full names of what the code in the archive defines.
    defined: Vec<String>,
}

// SAFETY: after `prepare`, which takes `&mut self`, the C++ side only reads its modules (code that writes to them runs on
// objects of its own), and libtorch runs one module in several threads; what a run sees is kept by thread.
unsafe impl Send for Script {}
unsafe impl Sync for Script {}

/// A parameter or buffer.
pub struct ScriptTensor {
    /// The key in `state_dict()`.
    pub key: String,
    /// Its values.
    pub tensor: Tensor,
    /// Whether it is a parameter.
    pub is_parameter: bool,
}

/// A tensor of the output of a module, or that there is none.
pub struct Output<'a> {
    /// The number of the module in [`Script::modules`].
    pub module: usize,
    /// Whether it is the first of this call.
    pub begins: bool,
    /// Where in the output it is: empty if it is the output, else numbers and keys as `1:0`.
    pub element: &'a str,
    /// It; `None` of a call that gives none, as of what tracing left empty.
    pub tensor: Option<Tensor>,
}

impl Script {
    /// Opens the archive at `path` on the CPU. None of its code is run. Needs [`on_large_stack`].
    pub fn open(path: &Path) -> Result<Script> {
        let defined = nesting::check(path)?;
        let path = CString::new(path.as_os_str().as_bytes()).context("the path contains a zero byte")?;
        let mut message = Message::new();
        // SAFETY: the path is a C string, and the message has the size that is told.
        let raw = unsafe { thingsvision_script_open(path.as_ptr(), message.buffer(), LONGEST_MESSAGE) };
        NonNull::new(raw).map(|raw| Script { raw, defined }).ok_or_else(|| message.error())
    }

    /// All parameters and buffers.
    pub fn tensors(&self) -> Result<Vec<ScriptTensor>> {
        extern "C" fn take(all: *mut c_void, key: *const c_char, tensor: *mut C_tensor, is_parameter: c_int) {
            // SAFETY: called only below, with the vector given there, a C string, and a tensor that is ours to free.
            let (all, key, tensor) =
                unsafe { (&mut *all.cast::<Vec<ScriptTensor>>(), CStr::from_ptr(key), Tensor::from_ptr(tensor)) };
            all.push(ScriptTensor { key: key.to_string_lossy().into_owned(), tensor, is_parameter: is_parameter != 0 });
        }
        let mut all: Vec<ScriptTensor> = Vec::new();
        let mut message = Message::new();
        // SAFETY: `take` gets back the pointer to `all`, which nobody else uses during the call.
        let failed = unsafe {
            thingsvision_script_tensors(self.raw.as_ptr(), (&raw mut all).cast(), take, message.buffer(), LONGEST_MESSAGE)
        };
        if failed == 0 { Ok(all) } else { Err(message.error()) }
    }

    /// The name and the Python class of every module, each once, parents before children: as `named_modules()`.
    pub fn modules(&self) -> Result<Vec<(String, String)>> {
        let mut all = Pairs::new();
        let mut message = Message::new();
        // SAFETY: `take_pair` gets back the pointer to `all`, which nobody else uses during the call.
        let failed = unsafe {
            thingsvision_script_modules(self.raw.as_ptr(), (&raw mut all).cast(), take_pair, message.buffer(), LONGEST_MESSAGE)
        };
        if failed == 0 { Ok(all) } else { Err(message.error()) }
    }

    /// How many inputs `forward` must be given; `None` if there is no `forward`.
    pub fn inputs(&self) -> Result<Option<usize>> {
        let mut message = Message::new();
        // SAFETY: the script is open, and the message has the size that is told.
        match unsafe { thingsvision_script_inputs(self.raw.as_ptr(), message.buffer(), LONGEST_MESSAGE) } {
            -2 => Err(message.error()),
            number => Ok(usize::try_from(number).ok()),
        }
    }

    /// Brings the network to a device in evaluation mode, with floating-point numbers of this kind; constants that name the
    /// device or half precision of the export follow. If it may have been `traced`, methods called `forward1` that another
    /// module calls are second calls of one. Once, before it runs.
    pub fn prepare(&mut self, device: Device, kind: Kind, traced: bool) -> Result<()> {
        let like = Tensor::f_zeros([1], (kind, device))?;
        let mut message = Message::new();
        // SAFETY: nobody else uses the script during the call, the tensor lives during it, and the message has the size that
        // is told.
        let failed = unsafe {
            thingsvision_script_prepare(self.raw.as_ptr(), like.as_ptr(), traced.into(), message.buffer(), LONGEST_MESSAGE)
        };
        if failed == 0 { Ok(()) } else { Err(message.error()) }
    }

    /// Runs `images` `[N, 3, H, W]` and shows the outputs of modules to `see` in the moment in which they are made: those
    /// that `wanted`, by module, is true for, or all. Ends when `see` returns false. The first run compiles the code, and
    /// needs [`on_large_stack`].
    pub fn run(&self, images: &Tensor, wanted: Option<&[bool]>, see: &mut dyn FnMut(Output) -> bool) -> Result<()> {
        extern "C" fn show(
            see: *mut c_void,
            module: usize,
            begins: c_int,
            element: *const c_char,
            tensor: *const C_tensor,
        ) -> c_int {
            // SAFETY: called only below, with the closure given there, a C string, and null or a tensor that lives during the
            // call.
            let (see, element, tensor) = unsafe {
                let tensor = (!tensor.is_null()).then(|| Tensor::clone_from_ptr(tensor.cast_mut()));
                (&mut *see.cast::<&mut dyn FnMut(Output) -> bool>(), CStr::from_ptr(element), tensor)
            };
            see(Output { module, begins: begins != 0, element: &element.to_string_lossy(), tensor }).into()
        }
        let wanted = wanted.map_or(std::ptr::null(), |wanted| wanted.as_ptr().cast());
        let mut see = see;
        let mut message = Message::new();
        // SAFETY: `show` gets back the pointer to `see`, which nobody else uses during the call; `wanted` has a byte for each
        // module; the images live during the call.
        let failed = unsafe {
            thingsvision_script_run(
                self.raw.as_ptr(),
                images.as_ptr(),
                wanted,
                (&raw mut see).cast(),
                show,
                message.buffer(),
                LONGEST_MESSAGE,
            )
        };
        if failed == 0 { Ok(()) } else { Err(message.error()) }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // SAFETY: opened by the C++ side, and closed only here.
        unsafe { thingsvision_script_close(self.raw.as_ptr()) }
    }
}

/// Room for what the C++ side says.
struct Message(Vec<c_char>);

impl Message {
    fn new() -> Self {
        Message(vec![0; LONGEST_MESSAGE])
    }

    fn buffer(&mut self) -> *mut c_char {
        self.0.as_mut_ptr()
    }

    /// What happened, without the places in C++ and in the network's code where it did.
    fn error(&self) -> anyhow::Error {
        let bytes: Vec<u8> = self.0.iter().map(|&character| character as u8).collect();
        let text = CStr::from_bytes_until_nul(&bytes).unwrap_or(c"libtorch gave up").to_string_lossy();
        // The interpreter puts it last: `RuntimeError: …`, or the exception that the code raises: `builtins.ValueError: …`.
        let raised = text.lines().rev().find_map(|line| line.split_once("Error: ").filter(|(kind, _)| !kind.contains(' ')));
        let last = raised.map(|(_, text)| text).or_else(|| text.lines().find(|line| !line.trim().is_empty()));
        anyhow!("{}", of_the_network(last.unwrap_or_default().trim_start_matches("AssertionError: ").trim()))
    }
}

/// `text` without what libtorch says of itself: which of its assertions failed, in which file of its source, and to report it.
fn of_the_network(text: &str) -> String {
    let (assertion, told) = text.split_once("please report a bug to PyTorch.").unwrap_or(("", text));
    // `[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't …`
    let told = told.strip_prefix("[enforce fail at ").and_then(|told| told.split_once(". ")).map_or(told, |(_, told)| told);
    let is_place = |word: &&str| word.contains(".cpp") || word.contains(".h:") || word.contains("/pytorch/");
    // `… This is an internal miniz error. If you are seeing this error, there is a high likelihood that …`
    let told = ["frame #", "Exception raised from", "This is an internal miniz error", "please report an enhancement"]
        .iter()
        .fold(told, |told, own| told.split(own).next().unwrap_or_default());
    let told: Vec<_> = told.split(' ').filter(|word| !is_place(word)).collect();
    match told.join(" ").trim() {
        "" if assertion.is_empty() => "libtorch gave up".into(),
        "" => "it does what libtorch has no use for".into(),
        told => told.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::of_the_network;

    #[test]
    fn libtorch_says_nothing_of_itself() {
        let place = "at \"/pytorch/aten/src/ATen/core/ivalue.h\":123, please report a bug to PyTorch.";
        let of = |told: &str| of_the_network(&format!("isTensor() INTERNAL ASSERT FAILED {place}{told}"));
        assert_eq!(of(" Expected Tensor but got Int"), "Expected Tensor but got Int");
        assert_eq!(of(""), "it does what libtorch has no use for");
        let enforced = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory";
        assert_eq!(of_the_network(enforced), "DefaultCPUAllocator: can't allocate memory");
        assert_eq!(of_the_network("no such size 3"), "no such size 3");
        assert_eq!(of_the_network("no such size 3 frame #0: c10::Error (libc10.so)"), "no such size 3");
    }
}
